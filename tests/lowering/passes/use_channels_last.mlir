// RUN: semc opt %s --split-input-file -p "use-channels-last{target=memcap-phone}" | filecheck %s

// Two convolutions with a bias, a pool and a mean: nothing is transposed but the input, once.
// CHECK-LABEL: func.func @chain
// CHECK:       [[IN:%[0-9]+]] = tile.view(%{{.*}}) strides = [192, 8, 1, 64] : (tensor<1x3x8x8xf32>) -> tensor<1x8x8x3xf32>
// CHECK-NEXT:  [[COLS:%[0-9]+]] = tile.window([[IN]]) kind = im2col{{.*}}, channels_last = true : (tensor<1x8x8x3xf32>) -> tensor<64x27xf32>
// CHECK:       tile.mvm %{{.*}}, [[COLS]]
// CHECK-NEXT:  [[MAP:%[0-9]+]] = tile.view(%{{.*}}) strides = [256, 32, 4, 1] : (tensor<64x4xf32>) -> tensor<1x8x8x4xf32>
// CHECK-NEXT:  [[BIAS:%[0-9]+]] = tile.view(%{{.*}}) strides = [4, 4, 4, 1] : (tensor<4x1x1xf32>) -> tensor<1x1x1x4xf32>
// CHECK:       tile.map([[MAP]], [[BIAS]])
// CHECK:       tile.window(%{{.*}}) kind = max{{.*}}channels_last = true : (tensor<1x8x8x4xf32>) -> tensor<1x4x4x4xf32>
// CHECK-NEXT:  [[ROWS:%[0-9]+]] = tile.view(%{{.*}}) strides = [4, 1] : (tensor<1x4x4x4xf32>) -> tensor<16x4xf32>
// CHECK:       tile.mvm %{{.*}}, [[ROWS]]
// CHECK:       tile.reduce(%{{.*}}) kind = mean, axes = [1, 2] : (tensor<1x4x4x2xf32>) -> tensor<1x2xf32>
func.func @chain(%x: tensor<1x3x8x8xf32>, %bias: tensor<4x1x1xf32>) -> tensor<1x2xf32> {
  %a = tile.program <"a"> : !tile.crossbar<1x27x4>
  %b = tile.program <"b"> : !tile.crossbar<1x4x2>
  %1 = tile.window(%x) kind = im2col, kernel = [3, 3], strides = [1, 1], dilations = [1, 1], low = [1, 1], high = [1, 1] : (tensor<1x3x8x8xf32>) -> tensor<64x27xf32>
  %2 = tile.mvm %a, %1 : (!tile.crossbar<1x27x4>, tensor<64x27xf32>) -> tensor<64x4xf32>
  %3 = tile.view(%2) strides = [4, 1, 32, 4] : (tensor<64x4xf32>) -> tensor<1x4x8x8xf32>
  %4 = tile.map(%3, %bias) {value = "biased"} : (tensor<1x4x8x8xf32>, tensor<4x1x1xf32>) -> tensor<1x4x8x8xf32> {
  ^bb0(%p: f32, %q: f32):
    %s = arith.addf %p, %q : f32
    tile.yield %s : f32
  }
  %5 = tile.window(%4) kind = max, kernel = [2, 2], strides = [2, 2], dilations = [1, 1], low = [0, 0], high = [0, 0] : (tensor<1x4x8x8xf32>) -> tensor<1x4x4x4xf32>
  %6 = tile.view(%5) strides = [1, 16] : (tensor<1x4x4x4xf32>) -> tensor<16x4xf32>
  %7 = tile.mvm %b, %6 : (!tile.crossbar<1x4x2>, tensor<16x4xf32>) -> tensor<16x2xf32>
  %8 = tile.view(%7) strides = [2, 1, 8, 2] : (tensor<16x2xf32>) -> tensor<1x2x4x4xf32>
  %9 = tile.reduce(%8) kind = mean, axes = [2, 3] : (tensor<1x2x4x4xf32>) -> tensor<1x2xf32>
  func.return %9 : tensor<1x2xf32>
}

// -----

// Where the rows are wanted as they are, row drivers cannot gather them, and nothing is gained.
// CHECK-LABEL: func.func @alone
// CHECK:       tile.window(%{{.*}}) kind = im2col
// CHECK-NOT:   channels_last
// CHECK:       func.return
func.func @alone(%x: tensor<1x64x8x8xf32>) -> (tensor<1x4x8x8xf32>, tensor<64x576xf32>) {
  %a = tile.program <"a"> : !tile.crossbar<1x576x4>
  %1 = tile.window(%x) kind = im2col, kernel = [3, 3], strides = [1, 1], dilations = [1, 1], low = [1, 1], high = [1, 1] : (tensor<1x64x8x8xf32>) -> tensor<64x576xf32>
  %2 = tile.mvm %a, %1 : (!tile.crossbar<1x576x4>, tensor<64x576xf32>) -> tensor<64x4xf32>
  %3 = tile.view(%2) strides = [4, 1, 32, 4] : (tensor<64x4xf32>) -> tensor<1x4x8x8xf32>
  func.return %3, %1 : tensor<1x4x8x8xf32>, tensor<64x576xf32>
}
