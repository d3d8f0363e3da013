// RUN: semc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: tile.mvm: x must be [P, 18], got [16, 27]
func.func @depth(%x: tensor<1x4x4x3xf32>) {
  %m = tile.program <"m"> : !tile.crossbar<1x18x4>
  %1 = tile.mvm %m, %x window {kind = "im2col", kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, low = array<i64: 1, 1>, high = array<i64: 1, 1>, groups = 1 : i64, count_include_pad = false, channels_last = true} : (!tile.crossbar<1x18x4>, tensor<1x4x4x3xf32>) -> tensor<16x4xf32>
  func.return
}

// -----

// CHECK: tile.mvm: a window of rank 2 needs x of rank 4 and one value a dim
func.func @rank(%x: tensor<16x18xf32>) {
  %m = tile.program <"m"> : !tile.crossbar<1x18x4>
  %1 = tile.mvm %m, %x window {kind = "im2col", kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, low = array<i64: 1, 1>, high = array<i64: 1, 1>, groups = 1 : i64, count_include_pad = false, channels_last = true} : (!tile.crossbar<1x18x4>, tensor<16x18xf32>) -> tensor<16x4xf32>
  func.return
}
