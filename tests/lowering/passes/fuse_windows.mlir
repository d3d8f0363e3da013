// RUN: semc opt %s --split-input-file -p "fuse-windows" | filecheck %s
// RUN: semc opt %s --split-input-file -p "fuse-windows,place-tiles{target=memcap-demo},convert-tile-to-place{target=memcap-demo},check-placement,convert-place-to-analog" | filecheck %s --check-prefix=ANALOG

// The row drivers gather the rows; the im2col matrix is never written.
// CHECK-LABEL: func.func @fused
// CHECK-NOT:   tile.window
// CHECK:       tile.mvm %m, %x window {kind = "im2col", kernel = array<i64: 3, 3>, strides = array<i64: 1, 1>, dilations = array<i64: 1, 1>, low = array<i64: 1, 1>, high = array<i64: 1, 1>, groups = 1 : i64, count_include_pad = false, channels_last = true} : (!tile.crossbar<1x18x4>, tensor<1x4x4x2xf32>) -> tensor<16x4xf32>
// ANALOG-LABEL: func.func @fused
// ANALOG:       analog.drive %{{.*}}, %{{.*}} window {kind = "im2col"
func.func @fused(%x: tensor<1x4x4x2xf32>) -> tensor<16x4xf32> {
  %m = tile.program <"m"> tiles dense<[[0, 0, 18, 0, 4]]> : tensor<1x5xi32> : !tile.crossbar<1x18x4>
  %1 = tile.window(%x) kind = im2col, kernel = [3, 3], strides = [1, 1], dilations = [1, 1], low = [1, 1], high = [1, 1], channels_last = true : (tensor<1x4x4x2xf32>) -> tensor<16x18xf32>
  %2 = tile.mvm %m, %1 : (!tile.crossbar<1x18x4>, tensor<16x18xf32>) -> tensor<16x4xf32>
  func.return %2 : tensor<16x4xf32>
}

// -----

// Rows that somebody else reads are written; and with channels first they are no runs of bytes.
// CHECK-LABEL: func.func @kept
// CHECK-COUNT-2: tile.window
func.func @kept(%x: tensor<1x4x4x2xf32>, %z: tensor<1x2x4x4xf32>) -> (tensor<16x4xf32>, tensor<16x18xf32>, tensor<16x4xf32>) {
  %m = tile.program <"m"> tiles dense<[[0, 0, 18, 0, 4]]> : tensor<1x5xi32> : !tile.crossbar<1x18x4>
  %1 = tile.window(%x) kind = im2col, kernel = [3, 3], strides = [1, 1], dilations = [1, 1], low = [1, 1], high = [1, 1], channels_last = true : (tensor<1x4x4x2xf32>) -> tensor<16x18xf32>
  %2 = tile.mvm %m, %1 : (!tile.crossbar<1x18x4>, tensor<16x18xf32>) -> tensor<16x4xf32>
  %3 = tile.window(%z) kind = im2col, kernel = [3, 3], strides = [1, 1], dilations = [1, 1], low = [1, 1], high = [1, 1] : (tensor<1x2x4x4xf32>) -> tensor<16x18xf32>
  %4 = tile.mvm %m, %3 : (!tile.crossbar<1x18x4>, tensor<16x18xf32>) -> tensor<16x4xf32>
  func.return %2, %1, %4 : tensor<16x4xf32>, tensor<16x18xf32>, tensor<16x4xf32>
}
