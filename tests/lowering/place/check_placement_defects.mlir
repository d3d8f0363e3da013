// RUN: semc opt %s --split-input-file --verify-diagnostics -p "check-placement" | filecheck %s

// Beside what is broken a placement is right.
// CHECK: func.func @clear
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"} defects {dead_arrays = dense<[[1, 2, 2]]> : tensor<1x3xi32>, dead_rows = dense<[[0, 2, 2, 4]]> : tensor<1x4xi32>, dead_cols = dense<[[0, 2, 2, 2]]> : tensor<1x4xi32>, missing_vias = dense<[[1, 2, 2]]> : tensor<1x3xi32>}
func.func @clear() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> sites dense<[[0, 2, 2, 0, 0]]> : tensor<1x5xi32> : !tile.crossbar<1x4x2>
  place.route %m dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x2>
  func.return
}

// -----

// CHECK: w: tile 0 at (layer, row, col) (1, 2, 2) is in an array that is dead
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"} defects {dead_arrays = dense<[[1, 2, 2]]> : tensor<1x3xi32>}
func.func @dead_array() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> sites dense<[[1, 2, 2, 0, 0]]> : tensor<1x5xi32> : !tile.crossbar<1x4x2>
  place.route %m dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x2>
  func.return
}

// -----

// CHECK: w: tile 0 at (layer, row, col) (1, 2, 2) lies over a dead row of its array
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"} defects {dead_rows = dense<[[1, 2, 2, 8]]> : tensor<1x4xi32>}
func.func @dead_row() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> sites dense<[[1, 2, 2, 5, 0]]> : tensor<1x5xi32> : !tile.crossbar<1x4x2>
  place.route %m dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x2>
  func.return
}

// -----

// CHECK: w: tile 0 at (layer, row, col) (1, 2, 2) lies over a dead column of its array
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"} defects {dead_cols = dense<[[1, 2, 2, 31]]> : tensor<1x4xi32>}
func.func @dead_column() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> sites dense<[[1, 2, 2, 5, 30]]> : tensor<1x5xi32> : !tile.crossbar<1x4x2>
  place.route %m dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x2>
  func.return
}

// -----

// CHECK: w: a route goes up to (layer, row, col) (2, 2, 2) through a via that is missing
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"} defects {missing_vias = dense<[[1, 2, 2]]> : tensor<1x3xi32>}
func.func @missing_via() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> sites dense<[[2, 2, 2, 0, 0]]> : tensor<1x5xi32> : !tile.crossbar<1x4x2>
  place.route %m dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x2>
  func.return
}

// -----

// CHECK: w: tile 0 must be at the fixed (layer, row, col, array row, array column) [1, 2, 2, 0, 0], it is at [2, 2, 2, 0, 0]
place.machine "chip" machine "memcap" grid [4, 4, 4] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"}
func.func @moved() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> sites dense<[[2, 2, 2, 0, 0]]> : tensor<1x5xi32> fixed dense<[[1, 2, 2, 0, 0]]> : tensor<1x5xi32> : !tile.crossbar<1x4x2>
  place.route %m dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x2>
  func.return
}
