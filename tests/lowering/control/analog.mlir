// RUN: semc opt %s -p "convert-place-to-analog" | filecheck %s

// Nothing runs beside control flow: it waits for all that was issued, and all behind waits for it.
// Inside, streams and events begin anew.
// CHECK: analog.controller "dma" {
// CHECK-NEXT: analog.move %x -> %a event 0
// CHECK-NEXT: analog.move %c -> %b event 1
// CHECK-NEXT: analog.sync [2]
// CHECK-NEXT: analog.move %d -> %y event 3
// CHECK-NEXT: }
// CHECK-NEXT: analog.controller "control" {
// CHECK-NEXT: analog.sync [1]
// CHECK-NEXT: analog.loop index %i : !place.buffer<tensor<i64>> while %b : !place.buffer<tensor<i1>> max 5 event 2 node "loop" {
// CHECK-NEXT: analog.controller "vector" {
// CHECK-NEXT: analog.vector event 0 (%a) -> (%d)
// CHECK: analog.controller "dma" {
// CHECK-NEXT: analog.sync [0]
// CHECK-NEXT: analog.move %d -> %a event 1
// CHECK-NOT: place.loop
place.machine "memcap-demo" machine "memcap" grid [4, 4, 4] active 1 array [128, 32] memories {sram = 1024 : i64, host = 1024 : i64} units {vector = "sram", control = "sram", host = "host"}
func.func @main() {
  %x = place.buffer "host" at 0 port "input:x" : !place.buffer<tensor<4xf32>>
  %c = place.buffer "host" at 64 port "input:c" : !place.buffer<tensor<i1>>
  %a = place.buffer "sram" at 0 : !place.buffer<tensor<4xf32>>
  %b = place.buffer "sram" at 64 : !place.buffer<tensor<i1>>
  %i = place.buffer "sram" at 128 : !place.buffer<tensor<i64>>
  %d = place.buffer "sram" at 192 : !place.buffer<tensor<4xf32>>
  %y = place.buffer "host" at 128 port "output:y" : !place.buffer<tensor<4xf32>>
  place.move %x -> %a slot 0 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  place.move %c -> %b slot 1 : !place.buffer<tensor<i1>> -> !place.buffer<tensor<i1>>
  place.loop index %i : !place.buffer<tensor<i64>> while %b : !place.buffer<tensor<i1>> max 5 slot 2 node "loop" {
    place.stage "vector" slot 3 (%a) -> (%d) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
    ^bb0(%t: tensor<4xf32>):
      %u = tile.reduce(%t) kind = sum, axes = [] : (tensor<4xf32>) -> tensor<4xf32>
      place.yield %u : tensor<4xf32>
    }
    place.move %d -> %a slot 4 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  }
  place.move %d -> %y slot 5 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  func.return
}
