// RUN: semc opt %s -p "convert-place-to-analog" | filecheck %s

// %b takes the bytes of %a: the host's write of %b waits for the vector engine's read of %a, but
// not again for the write of %a, which that read had waited for. The alias is the same bytes.

place.machine "memcap-demo" machine "memcap" grid [4, 4, 4] active 1 array [128, 32] memories {sram = 1048576 : i64, host = 1099511627776 : i64} units {crossbar = "sram", vector = "sram", host = "host"}
func.func @main() {
  %x = place.buffer "host" at 0 port "input:x" : !place.buffer<tensor<4xf32>>
  %a = place.buffer "sram" at 0 : !place.buffer<tensor<4xf32>>
  %c = place.buffer "sram" at 64 : !place.buffer<tensor<4xf32>>
  %b = place.buffer "sram" at 0 : !place.buffer<tensor<4xf32>>
  %tail = place.alias %b at 8 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<2xf32>>
  %y = place.buffer "host" at 64 port "output:y" : !place.buffer<tensor<2xf32>>
  place.move %x -> %a slot 0 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  place.stage "vector" slot 1 (%a) -> (%c) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%t: tensor<4xf32>):
    %n = tile.cumulate(%t) kind = sum, axis = 0 : (tensor<4xf32>) -> tensor<4xf32>
    place.yield %n : tensor<4xf32>
  }
  place.move %x -> %b slot 2 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  place.move %tail -> %y slot 3 : !place.buffer<tensor<2xf32>> -> !place.buffer<tensor<2xf32>>
  func.return
}

// CHECK:      analog.controller "vector" {
// CHECK-NEXT:   analog.sync [0]
// CHECK-NEXT:   analog.vector event 1
// CHECK:      analog.controller "dma" {
// CHECK-NEXT:   analog.move %{{[0-9a-z]+}} -> %{{[0-9a-z]+}} event 0
// CHECK-NEXT:   analog.sync [1]
// CHECK-NEXT:   analog.move %{{[0-9a-z]+}} -> %{{[0-9a-z]+}} event 2
// CHECK-NEXT:   analog.move %{{[0-9a-z]+}} -> %{{[0-9a-z]+}} event 3
// CHECK-NEXT: }
