// RUN: semc opt %s --split-input-file --verify-diagnostics -p "place-tiles{target=memcap-demo}" | filecheck %s

// CHECK: fixed positions must be possible: a: tile 1 is at layer 4, which must be in 0..3
// CHECK-SAME: help: change sites, or give a tile layer -1 to let place-tiles choose
func.func @no_such_layer() {
  %a = tile.program <"a"> tiles dense<[[0, 0, 4, 0, 2], [0, 4, 4, 0, 2]]> : tensor<2x5xi32> {sites = dense<[[-1, 0, 0, 0, 0], [4, 2, 2, 0, 0]]> : tensor<2x5xi32>} : !tile.crossbar<1x8x2>
  func.return
}

// -----

// CHECK: a: tile 0 of 4x2 at cell (126, 0) leaves the array of 128x32
func.func @over_the_edge() {
  %a = tile.program <"a"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> {sites = dense<[[0, 2, 2, 126, 0]]> : tensor<1x5xi32>} : !tile.crossbar<1x4x2>
  func.return
}

// -----

// CHECK: cells of the array at (layer, row, col) (0, 2, 2) are booked by a and b
func.func @two_on_one_cell() {
  %a = tile.program <"a"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> {sites = dense<[[0, 2, 2, 0, 0]]> : tensor<1x5xi32>} : !tile.crossbar<1x4x2>
  %b = tile.program <"b"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> {sites = dense<[[0, 2, 2, 3, 1]]> : tensor<1x5xi32>} : !tile.crossbar<1x4x2>
  func.return
}

// -----

// CHECK: sites of a must have [1, 5] numbers, a row a tile (layer, row, col, array_row, array_col), came [1, 3]
func.func @too_few_columns() {
  %a = tile.program <"a"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> {sites = dense<[[0, 2, 2]]> : tensor<1x3xi32>} : !tile.crossbar<1x4x2>
  func.return
}
