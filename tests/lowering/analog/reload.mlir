// RUN: semc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: analog.reload: only streamed tiles are written while running
func.func @tiles_that_stay() {
  %m = analog.program matrix 0 <"w"> tiles dense<[[0, 0, 2, 0, 4], [0, 2, 2, 0, 4]]> : tensor<2x5xi32> sites dense<[[0, 0, 0, 0, 0], [0, 0, 1, 0, 0]]> : tensor<2x5xi32> routes dense<[[0, 0, 0, 1, 1], [0, 0, 1, 0, 1]]> : tensor<2x5xi32> rounds dense<[0, 1]> : tensor<2xi32> : !tile.crossbar<1x4x4>
  analog.controller "layer0" {
    analog.reload %m tiles [0, 2] event 0 : !tile.crossbar<1x4x4>
  }
  func.return
}

// -----

// CHECK: analog.program: tiles must be sorted by layer and round
func.func @rounds_out_of_order() {
  %m = analog.program matrix 0 <"w"> tiles dense<[[0, 0, 2, 0, 4], [0, 2, 2, 0, 4]]> : tensor<2x5xi32> sites dense<[[0, 0, 0, 0, 0], [0, 0, 0, 0, 0]]> : tensor<2x5xi32> routes dense<[[0, 0, 0, 1, 1], [0, 0, 0, 1, 1]]> : tensor<2x5xi32> rounds dense<[2, 1]> : tensor<2xi32> : !tile.crossbar<1x4x4>
  func.return
}

// -----

// CHECK: analog.program: rounds must be numbered from 1, or 0 for what stays
func.func @a_round_is_missing() {
  %m = analog.program matrix 0 <"w"> tiles dense<[[0, 0, 4, 0, 4]]> : tensor<1x5xi32> sites dense<[[0, 0, 0, 0, 0]]> : tensor<1x5xi32> routes dense<[[0, 0, 0, 1, 1]]> : tensor<1x5xi32> rounds dense<[2]> : tensor<1xi32> : !tile.crossbar<1x4x4>
  func.return
}
