// RUN: semc opt %s -p "convert-place-to-analog" | filecheck %s
// RUN: semc opt %s -p "check-placement,convert-place-to-analog" | filecheck %s

// A matrix in two layers of one stack, a bias on the vector engine, moves in and out. The tiles are
// sorted by layer with their tables; the second layer waits until the first has converted.

place.machine "memcap-demo" machine "memcap" grid [4, 4, 4] active 1 array [128, 32] memories {sram = 1048576 : i64, host = 1099511627776 : i64} units {crossbar = "sram", vector = "sram", host = "host"}
func.func @main() {
  %m = place.program <"fc"> adc_range dense<[3.0, 5.0]> : tensor<2xf32> tiles dense<[[0, 0, 128, 0, 16], [0, 128, 72, 0, 16]]> : tensor<2x5xi32> sites dense<[[1, 0, 0, 0, 0], [0, 0, 0, 0, 0]]> : tensor<2x5xi32> : !tile.crossbar<1x200x16>
  place.route %m dense<[[-1, 0, -1, 1], [-1, 1, -1, 0]]> : tensor<2x4xi32> : !tile.crossbar<1x200x16>
  %x = place.buffer "host" at 0 port "input:x" : !place.buffer<tensor<2x200xf32>>
  %x1 = place.buffer "sram" at 0 : !place.buffer<tensor<2x200xf32>>
  %h = place.buffer "sram" at 1600 : !place.buffer<tensor<2x16xf32>>
  %r = place.buffer "sram" at 0 : !place.buffer<tensor<2x16xf32>>
  %y = place.buffer "host" at 1600 port "output:y" : !place.buffer<tensor<2x16xf32>>
  place.move %x -> %x1 slot 0 : !place.buffer<tensor<2x200xf32>> -> !place.buffer<tensor<2x200xf32>>
  place.mvm %m, %x1 -> %h slot 1 node "fc/MatMul" : !tile.crossbar<1x200x16>, !place.buffer<tensor<2x200xf32>> -> !place.buffer<tensor<2x16xf32>>
  place.stage "vector" slot 2 (%h) -> (%r) {node = "neg"} : (!place.buffer<tensor<2x16xf32>>) -> (!place.buffer<tensor<2x16xf32>>) {
  ^bb0(%t: tensor<2x16xf32>):
    %n = tile.map(%t) : (tensor<2x16xf32>) -> tensor<2x16xf32> {
    ^bb0(%a: f32):
      %b = arith.negf %a : f32
      tile.yield %b : f32
    }
    place.yield %n : tensor<2x16xf32>
  }
  place.move %r -> %y slot 3 : !place.buffer<tensor<2x16xf32>> -> !place.buffer<tensor<2x16xf32>>
  func.return
}

// CHECK:      analog.program matrix 0 <"fc"> adc_range dense<[5.000000e+00, 3.000000e+00]>
// CHECK-SAME: tiles dense<{{\[\[}}0, 128, 72, 0, 16], [0, 0, 128, 0, 16]]>
// CHECK-SAME: sites dense<{{\[\[}}0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]>
// CHECK-SAME: routes dense<{{\[\[}}-1, 1, -1, 0], [-1, 0, -1, 1]]>
// CHECK-NOT:  place.mvm
// CHECK:      analog.controller "layer0" {
// CHECK-NEXT:   analog.sync [0]
// CHECK-NEXT:   analog.drive %{{[0-9a-z]+}}, %{{[0-9a-z]+}} tiles [0, 1] event 1
// CHECK-NEXT:   analog.integrate %{{[0-9a-z]+}} tiles [0, 1] event 2
// CHECK-NEXT:   analog.convert %{{[0-9a-z]+}} tiles [0, 1] event 3
// CHECK-NEXT:   analog.accumulate %{{[0-9a-z]+}}, %{{[0-9a-z]+}} tiles [0, 1] event 4 init node "fc/MatMul"
// CHECK-NEXT: }
// CHECK-NEXT: analog.controller "layer1" {
// CHECK-NEXT:   analog.sync [3]
// CHECK-NEXT:   analog.drive %{{[0-9a-z]+}}, %{{[0-9a-z]+}} tiles [1, 2] event 5
// CHECK-NEXT:   analog.integrate %{{[0-9a-z]+}} tiles [1, 2] event 6
// CHECK-NEXT:   analog.convert %{{[0-9a-z]+}} tiles [1, 2] event 7
// CHECK-NEXT:   analog.sync [4]
// CHECK-NEXT:   analog.accumulate %{{[0-9a-z]+}}, %{{[0-9a-z]+}} tiles [1, 2] event 8 node "fc/MatMul"
// CHECK-NEXT: }
// CHECK-NEXT: analog.controller "vector" {
// CHECK-NEXT:   analog.sync [8]
// CHECK-NEXT:   analog.vector event 9
// CHECK:      analog.controller "dma" {
// CHECK-NEXT:   analog.move %{{[0-9a-z]+}} -> %{{[0-9a-z]+}} event 0
// CHECK-NEXT:   analog.sync [9]
// CHECK-NEXT:   analog.move %{{[0-9a-z]+}} -> %{{[0-9a-z]+}} event 10
// CHECK-NEXT: }
// CHECK-NEXT: func.return
