// RUN: semc opt %s --split-input-file --verify-diagnostics -p "check-placement" | filecheck %s

// What the second iteration reads must not be what the first one wrote elsewhere.
// CHECK: slot 2 (place.move) reads at sram+64, whose bytes at sram+80 has overwritten
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64, host = 1024 : i64} units {vector = "sram"}
func.func @lost_in_the_next_iteration() {
  %x = place.buffer "host" at 0 port "input:x" : !place.buffer<tensor<8xf32>>
  %near = place.buffer "sram" at 64 : !place.buffer<tensor<8xf32>>
  %i = place.buffer "sram" at 0 : !place.buffer<tensor<i64>>
  %a = place.buffer "sram" at 128 : !place.buffer<tensor<8xf32>>
  %b = place.buffer "sram" at 80 : !place.buffer<tensor<8xf32>>
  place.move %x -> %near slot 0 : !place.buffer<tensor<8xf32>> -> !place.buffer<tensor<8xf32>>
  place.loop index %i : !place.buffer<tensor<i64>> max 2 slot 1 {
    place.move %near -> %a slot 2 : !place.buffer<tensor<8xf32>> -> !place.buffer<tensor<8xf32>>
    place.move %a -> %b slot 3 : !place.buffer<tensor<8xf32>> -> !place.buffer<tensor<8xf32>>
  }
  func.return
}

// -----

// CHECK: slots must be in order and used once
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64, host = 1024 : i64} units {vector = "sram"}
func.func @numbered_twice() {
  %x = place.buffer "host" at 0 port "input:x" : !place.buffer<tensor<i1>>
  %c = place.buffer "sram" at 0 : !place.buffer<tensor<i1>>
  %d = place.buffer "sram" at 64 : !place.buffer<tensor<i1>>
  place.move %x -> %c slot 0 : !place.buffer<tensor<i1>> -> !place.buffer<tensor<i1>>
  place.if %c slot 1 : !place.buffer<tensor<i1>> {
    place.move %c -> %d slot 1 : !place.buffer<tensor<i1>> -> !place.buffer<tensor<i1>>
  } {
  }
  func.return
}
