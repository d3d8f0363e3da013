// RUN: semc opt %s -p "convert-tile-to-place{target=memcap-demo},check-placement" | filecheck %s
// RUN: semc opt %s -p "convert-tile-to-place{target=memcap-demo},check-placement,convert-place-to-analog" | filecheck %s --check-prefix=ANALOG

// %a and %b take the same array by turns, %b in two rounds; %k stays beside them. %a is written at
// once, %b when the product of %a has left the array. The second product of %b writes both rounds
// again, for the first has left the last one. What stays is never written.
// CHECK-LABEL: func.func @main
// CHECK: [[A:%.*]] = place.program <"a"> tiles {{.*}} rounds dense<1> : tensor<1xi32>
// CHECK: [[B:%.*]] = place.program <"b"> tiles {{.*}} rounds dense<[1, 2]> : tensor<2xi32>
// CHECK: [[K:%.*]] = place.program <"k">
// CHECK-NOT: rounds
// CHECK: place.reload [[A]] slot 0
// CHECK-NEXT: place.move {{.*}} slot 1
// CHECK-NEXT: place.mvm [[A]], {{.*}} slot 2
// CHECK-NEXT: place.reload [[B]] slot 3
// CHECK-NEXT: place.mvm [[K]], {{.*}} slot 4
// CHECK-NEXT: place.mvm [[B]], {{.*}} slot 5
// CHECK-NEXT: place.reload [[B]] slot 6
// CHECK-NEXT: place.mvm [[B]], {{.*}} slot 7
// CHECK-NOT: place.reload

// Reloading works in the stack, in which one layer works at a time: the layer above waits for it.
// ANALOG-LABEL: func.func @main
// ANALOG: analog.controller "layer0" {
// ANALOG-NEXT: analog.reload {{.*}} tiles [0, 1] event 0
// ANALOG-NEXT: analog.sync [1]
// ANALOG-NEXT: analog.drive {{.*}} tiles [0, 1] event 2
// ANALOG-NEXT: analog.integrate {{.*}} event 3
// ANALOG-NEXT: analog.convert {{.*}} event 4
// ANALOG-NEXT: analog.accumulate {{.*}} event 5
// ANALOG-NEXT: analog.reload {{.*}} tiles [0, 2] event 6
// ANALOG: analog.controller "layer1" {
// ANALOG-NEXT: analog.sync [6]
// ANALOG-NEXT: analog.drive
func.func @main(%x: tensor<1x32xf32>) -> tensor<1x32xf32> {
  %a = tile.program <"a"> tiles dense<[[0, 0, 32, 0, 32]]> : tensor<1x5xi32> {sites = dense<[[0, 2, 2, 0, 0]]> : tensor<1x5xi32>, rounds = dense<1> : tensor<1xi32>} : !tile.crossbar<1x32x32>
  %b = tile.program <"b"> tiles dense<[[0, 0, 16, 0, 32], [0, 16, 16, 0, 32]]> : tensor<2x5xi32> {sites = dense<[[0, 2, 2, 0, 0], [0, 2, 2, 0, 0]]> : tensor<2x5xi32>, rounds = dense<[1, 2]> : tensor<2xi32>} : !tile.crossbar<1x32x32>
  %k = tile.program <"k"> tiles dense<[[0, 0, 32, 0, 32]]> : tensor<1x5xi32> {sites = dense<[[1, 2, 2, 0, 0]]> : tensor<1x5xi32>} : !tile.crossbar<1x32x32>
  %1 = tile.mvm %a, %x : (!tile.crossbar<1x32x32>, tensor<1x32xf32>) -> tensor<1x32xf32>
  %2 = tile.mvm %k, %1 : (!tile.crossbar<1x32x32>, tensor<1x32xf32>) -> tensor<1x32xf32>
  %3 = tile.mvm %b, %2 : (!tile.crossbar<1x32x32>, tensor<1x32xf32>) -> tensor<1x32xf32>
  %4 = tile.mvm %b, %3 : (!tile.crossbar<1x32x32>, tensor<1x32xf32>) -> tensor<1x32xf32>
  func.return %4 : tensor<1x32xf32>
}
