// RUN: semc opt %s --split-input-file --verify-diagnostics -p "check-placement" | filecheck %s

// CHECK: drives a in the array at (layer, row, col) (0, 0, 0), which holds b: a reload must come before
place.machine "chip" machine "memcap" grid [1, 1, 2] array [128, 32] memories {sram = 1024 : i64} units {crossbar = "sram", control = "sram"}
func.func @overwritten_since() {
  %a = place.program <"a"> tiles dense<[[0, 0, 4, 0, 4]]> : tensor<1x5xi32> sites dense<[[0, 0, 0, 0, 0]]> : tensor<1x5xi32> rounds dense<[1]> : tensor<1xi32> : !tile.crossbar<1x4x4>
  place.route %a dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x4>
  %b = place.program <"b"> tiles dense<[[0, 0, 4, 0, 4]]> : tensor<1x5xi32> sites dense<[[0, 0, 0, 0, 0]]> : tensor<1x5xi32> rounds dense<[1]> : tensor<1xi32> : !tile.crossbar<1x4x4>
  place.route %b dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x4>
  %x = place.buffer "sram" at 0 port "input:x" : !place.buffer<tensor<1x4xf32>>
  %y = place.buffer "sram" at 64 : !place.buffer<tensor<1x4xf32>>
  place.reload %a slot 0 : !tile.crossbar<1x4x4>
  place.reload %b slot 1 : !tile.crossbar<1x4x4>
  place.mvm %a, %x -> %y slot 2 : !tile.crossbar<1x4x4>, !place.buffer<tensor<1x4xf32>> -> !place.buffer<tensor<1x4xf32>>
  func.return
}

// -----

// CHECK: which holds what an earlier product left: a reload must come before
place.machine "chip" machine "memcap" grid [1, 1, 2] array [128, 32] memories {sram = 1024 : i64} units {crossbar = "sram", control = "sram"}
func.func @never_written() {
  %a = place.program <"a"> tiles dense<[[0, 0, 4, 0, 4]]> : tensor<1x5xi32> sites dense<[[0, 0, 0, 0, 0]]> : tensor<1x5xi32> rounds dense<[1]> : tensor<1xi32> : !tile.crossbar<1x4x4>
  place.route %a dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x4>
  %x = place.buffer "sram" at 0 port "input:x" : !place.buffer<tensor<1x4xf32>>
  %y = place.buffer "sram" at 64 : !place.buffer<tensor<1x4xf32>>
  place.mvm %a, %x -> %y slot 0 : !tile.crossbar<1x4x4>, !place.buffer<tensor<1x4xf32>> -> !place.buffer<tensor<1x4xf32>>
  func.return
}

// -----

// CHECK: which holds what an earlier product left: a reload must come before
place.machine "chip" machine "memcap" grid [1, 1, 2] array [128, 32] memories {sram = 1024 : i64} units {crossbar = "sram", control = "sram"}
func.func @only_the_last_round_is_left() {
  %a = place.program <"a"> tiles dense<[[0, 0, 2, 0, 4], [0, 2, 2, 0, 4]]> : tensor<2x5xi32> sites dense<[[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]> : tensor<2x5xi32> rounds dense<[1, 2]> : tensor<2xi32> : !tile.crossbar<1x4x4>
  place.route %a dense<[[-1, 0, -1, 0], [-1, 0, -1, 0]]> : tensor<2x4xi32> : !tile.crossbar<1x4x4>
  %x = place.buffer "sram" at 0 port "input:x" : !place.buffer<tensor<1x4xf32>>
  %y = place.buffer "sram" at 64 : !place.buffer<tensor<1x4xf32>>
  place.reload %a slot 0 : !tile.crossbar<1x4x4>
  place.mvm %a, %x -> %y slot 1 : !tile.crossbar<1x4x4>, !place.buffer<tensor<1x4xf32>> -> !place.buffer<tensor<1x4xf32>>
  place.mvm %a, %x -> %y slot 2 : !tile.crossbar<1x4x4>, !place.buffer<tensor<1x4xf32>> -> !place.buffer<tensor<1x4xf32>>
  func.return
}

// -----

// CHECK: holds tiles that stay and tiles that are written while running
place.machine "chip" machine "memcap" grid [1, 1, 2] array [128, 32] memories {sram = 1024 : i64} units {crossbar = "sram", control = "sram"}
func.func @beside_what_stays() {
  %a = place.program <"a"> tiles dense<[[0, 0, 4, 0, 4]]> : tensor<1x5xi32> sites dense<[[0, 0, 0, 0, 0]]> : tensor<1x5xi32> rounds dense<[1]> : tensor<1xi32> : !tile.crossbar<1x4x4>
  place.route %a dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x4>
  %b = place.program <"b"> tiles dense<[[0, 0, 4, 0, 4]]> : tensor<1x5xi32> sites dense<[[0, 0, 0, 8, 8]]> : tensor<1x5xi32> : !tile.crossbar<1x4x4>
  place.route %b dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x4>
  %x = place.buffer "sram" at 0 port "input:x" : !place.buffer<tensor<1x4xf32>>
  %y = place.buffer "sram" at 64 : !place.buffer<tensor<1x4xf32>>
  place.reload %a slot 0 : !tile.crossbar<1x4x4>
  place.mvm %a, %x -> %y slot 1 : !tile.crossbar<1x4x4>, !place.buffer<tensor<1x4xf32>> -> !place.buffer<tensor<1x4xf32>>
  func.return
}

// -----

// CHECK: a: tiles 0 and 1 of round 1 share cells of the array at (layer, row, col) (0, 0, 0)
place.machine "chip" machine "memcap" grid [1, 1, 2] array [128, 32] memories {sram = 1024 : i64} units {crossbar = "sram", control = "sram"}
func.func @two_tiles_of_a_round_on_one_cell() {
  %a = place.program <"a"> tiles dense<[[0, 0, 2, 0, 4], [0, 2, 2, 0, 4]]> : tensor<2x5xi32> sites dense<[[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]> : tensor<2x5xi32> rounds dense<[1, 1]> : tensor<2xi32> : !tile.crossbar<1x4x4>
  place.route %a dense<[[-1, 0, -1, 0], [-1, 0, -1, 0]]> : tensor<2x4xi32> : !tile.crossbar<1x4x4>
  %x = place.buffer "sram" at 0 port "input:x" : !place.buffer<tensor<1x4xf32>>
  %y = place.buffer "sram" at 64 : !place.buffer<tensor<1x4xf32>>
  place.reload %a slot 0 : !tile.crossbar<1x4x4>
  place.mvm %a, %x -> %y slot 1 : !tile.crossbar<1x4x4>, !place.buffer<tensor<1x4xf32>> -> !place.buffer<tensor<1x4xf32>>
  func.return
}

// -----

// CHECK: place.reload: matrix a has no streamed tiles
place.machine "chip" machine "memcap" grid [1, 1, 2] array [128, 32] memories {sram = 1024 : i64} units {crossbar = "sram", control = "sram"}
func.func @needless() {
  %a = place.program <"a"> tiles dense<[[0, 0, 4, 0, 4]]> : tensor<1x5xi32> sites dense<[[0, 0, 0, 0, 0]]> : tensor<1x5xi32> : !tile.crossbar<1x4x4>
  place.route %a dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x4>
  %b = place.program <"b"> tiles dense<[[0, 0, 4, 0, 4]]> : tensor<1x5xi32> sites dense<[[0, 0, 0, 0, 0]]> : tensor<1x5xi32> rounds dense<[1]> : tensor<1xi32> : !tile.crossbar<1x4x4>
  place.route %b dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x4>
  %x = place.buffer "sram" at 0 port "input:x" : !place.buffer<tensor<1x4xf32>>
  %y = place.buffer "sram" at 64 : !place.buffer<tensor<1x4xf32>>
  place.reload %a slot 0 : !tile.crossbar<1x4x4>
  place.mvm %a, %x -> %y slot 1 : !tile.crossbar<1x4x4>, !place.buffer<tensor<1x4xf32>> -> !place.buffer<tensor<1x4xf32>>
  func.return
}

// -----

// CHECK: uses a in control flow, where only matrices that stay in their arrays can be used
place.machine "chip" machine "memcap" grid [1, 1, 2] array [128, 32] memories {sram = 1024 : i64} units {crossbar = "sram", control = "sram"}
func.func @in_a_loop() {
  %a = place.program <"a"> tiles dense<[[0, 0, 4, 0, 4]]> : tensor<1x5xi32> sites dense<[[0, 0, 0, 0, 0]]> : tensor<1x5xi32> rounds dense<[1]> : tensor<1xi32> : !tile.crossbar<1x4x4>
  place.route %a dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x4>
  %x = place.buffer "sram" at 0 port "input:x" : !place.buffer<tensor<1x4xf32>>
  %y = place.buffer "sram" at 64 : !place.buffer<tensor<1x4xf32>>
  %i = place.buffer "sram" at 128 : !place.buffer<tensor<i64>>
  place.reload %a slot 0 : !tile.crossbar<1x4x4>
  place.loop index %i : !place.buffer<tensor<i64>> max 3 slot 1 {
    place.mvm %a, %x -> %y slot 2 : !tile.crossbar<1x4x4>, !place.buffer<tensor<1x4xf32>> -> !place.buffer<tensor<1x4xf32>>
  }
  func.return
}
