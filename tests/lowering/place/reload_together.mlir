// RUN: semc opt %s -p "convert-tile-to-place{target=memcap-demo},check-placement" | filecheck %s

// %a and %b have arrays of their own and are written together; %c takes the array of %a, so it waits
// until both products are over. %a is used twice meanwhile and written once.
// CHECK: [[A:%.*]] = place.program <"a">
// CHECK: [[B:%.*]] = place.program <"b">
// CHECK: [[C:%.*]] = place.program <"c">
// CHECK: place.reload [[A]] slot 0
// CHECK-NEXT: place.reload [[B]] slot 1
// CHECK-NEXT: place.move
// CHECK-NEXT: place.mvm [[A]]
// CHECK-NEXT: place.mvm [[B]]
// CHECK-NEXT: place.mvm [[A]]
// CHECK-NEXT: place.reload [[C]] slot 6
// CHECK-NEXT: place.mvm [[C]]
// CHECK-NOT: place.reload
func.func @main(%x: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %a = tile.program <"a"> tiles dense<[[0, 0, 32, 0, 32]]> : tensor<1x5xi32> {sites = dense<[[0, 2, 2, 0, 0]]> : tensor<1x5xi32>, rounds = dense<1> : tensor<1xi32>} : !tile.crossbar<1x32x32>
  %b = tile.program <"b"> tiles dense<[[0, 0, 32, 0, 32]]> : tensor<1x5xi32> {sites = dense<[[0, 1, 2, 0, 0]]> : tensor<1x5xi32>, rounds = dense<1> : tensor<1xi32>} : !tile.crossbar<1x32x32>
  %c = tile.program <"c"> tiles dense<[[0, 0, 32, 0, 32]]> : tensor<1x5xi32> {sites = dense<[[0, 2, 2, 0, 0]]> : tensor<1x5xi32>, rounds = dense<1> : tensor<1xi32>} : !tile.crossbar<1x32x32>
  %1 = tile.mvm %a, %x : (!tile.crossbar<1x32x32>, tensor<1x32xf32>) -> tensor<1x32xf32>
  %2 = tile.mvm %b, %1 : (!tile.crossbar<1x32x32>, tensor<1x32xf32>) -> tensor<1x32xf32>
  %3 = tile.mvm %a, %2 : (!tile.crossbar<1x32x32>, tensor<1x32xf32>) -> tensor<1x32xf32>
  %4 = tile.mvm %c, %3 : (!tile.crossbar<1x32x32>, tensor<1x32xf32>) -> tensor<1x32xf32>
  func.return %4 : tensor<1x32xf32>
}
