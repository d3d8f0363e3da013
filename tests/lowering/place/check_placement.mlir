// RUN: semc opt %s --split-input-file --verify-diagnostics -p "check-placement" | filecheck %s

// CHECK: tile 0 is at layer 4, which must be in 0..3
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"}
func.func @no_such_layer() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> sites dense<[[4, 2, 2, 0, 0]]> : tensor<1x5xi32> : !tile.crossbar<1x4x2>
  func.return
}

// -----

// CHECK: cells of the array at (layer, row, col) (0, 2, 2) are booked by
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"}
func.func @two_matrices_on_one_cell() {
  %a = place.program <"a"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> sites dense<[[0, 2, 2, 0, 0]]> : tensor<1x5xi32> : !tile.crossbar<1x4x2>
  %b = place.program <"b"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> sites dense<[[0, 2, 2, 3, 1]]> : tensor<1x5xi32> : !tile.crossbar<1x4x2>
  place.route %a dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x2>
  place.route %b dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x2>
  func.return
}

// -----

// CHECK: w: x_from of tile 1 is tile 0, which is not in its row block, layer, round and copy
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"}
func.func @input_from_another_row_block() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2], [0, 4, 4, 0, 2]]> : tensor<2x5xi32> sites dense<[[1, 2, 2, 0, 0], [1, 2, 3, 0, 0]]> : tensor<2x5xi32> : !tile.crossbar<1x8x2>
  place.route %m dense<[[-1, 0, 1, 0], [0, 0, -1, 0]]> : tensor<2x4xi32> : !tile.crossbar<1x8x2>
  func.return
}

// -----

// CHECK: w: the legs by y_to go in a circle, not to the port
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"}
func.func @sums_that_never_arrive() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2], [0, 4, 4, 0, 2]]> : tensor<2x5xi32> sites dense<[[1, 2, 2, 0, 0], [1, 2, 3, 0, 0]]> : tensor<2x5xi32> : !tile.crossbar<1x8x2>
  place.route %m dense<[[-1, 0, 1, 0], [-1, 0, 0, 0]]> : tensor<2x4xi32> : !tile.crossbar<1x8x2>
  func.return
}

// -----

// CHECK: takes bytes 1020..1036 of sram, which has 1024
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"}
func.func @buffer_past_the_end() {
  %b = place.buffer "sram" at 1020 : !place.buffer<tensor<4xf32>>
  func.return
}

// -----

// CHECK: reads at sram+0 before it is written
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"}
func.func @read_before_write() {
  %b = place.buffer "sram" at 0 : !place.buffer<tensor<4xf32>>
  %c = place.buffer "sram" at 64 : !place.buffer<tensor<4xf32>>
  place.move %b -> %c slot 0 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  func.return
}

// -----

// CHECK: reads input:x, whose bytes at sram+8 has overwritten
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"}
func.func @overwritten_while_alive() {
  %x = place.buffer "sram" at 0 port "input:x" : !place.buffer<tensor<4xf32>>
  %b = place.buffer "sram" at 8 : !place.buffer<tensor<4xf32>>
  %c = place.buffer "sram" at 64 : !place.buffer<tensor<4xf32>>
  place.move %x -> %c slot 0 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  place.move %c -> %b slot 1 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  place.move %x -> %c slot 2 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  func.return
}

// -----

// CHECK: slot 0 runs on unit 'gpu', which the machine lacks
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"}
func.func @no_such_unit() {
  %x = place.buffer "sram" at 0 port "input:x" : !place.buffer<tensor<4xf32>>
  %c = place.buffer "sram" at 64 : !place.buffer<tensor<4xf32>>
  place.stage "gpu" slot 0 (%x) -> (%c) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%0: tensor<4xf32>):
    place.yield %0 : tensor<4xf32>
  }
  func.return
}
