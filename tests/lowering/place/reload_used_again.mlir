// RUN: semc opt %s -p "convert-tile-to-place{target=memcap-demo},check-placement" | filecheck %s

// A matrix of one round that is used twice in a row is written once.
// CHECK: place.reload {{.*}} slot 0
// CHECK-NOT: place.reload
func.func @main(%x: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %a = tile.program <"a"> tiles dense<[[0, 0, 32, 0, 32]]> : tensor<1x5xi32> {sites = dense<[[0, 2, 2, 0, 0]]> : tensor<1x5xi32>, rounds = dense<1> : tensor<1xi32>} : !tile.crossbar<1x32x32>
  %1 = tile.mvm %a, %x : (!tile.crossbar<1x32x32>, tensor<1x32xf32>) -> tensor<1x32xf32>
  %2 = tile.mvm %a, %1 : (!tile.crossbar<1x32x32>, tensor<1x32xf32>) -> tensor<1x32xf32>
  func.return %2 : tensor<1x32xf32>
}
