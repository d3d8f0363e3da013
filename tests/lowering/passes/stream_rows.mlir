// RUN: semc opt %s --split-input-file -p "stream-rows{target=memcap-phone most=2}" | filecheck %s
// RUN: semc opt %s --split-input-file -p "stream-rows{target=memcap-phone most=1}" | filecheck %s --check-prefix=WHOLE

// Two convolutions in two bands each. The second half of the first runs beside the first half of the
// second as far as their windows overlap: a band reads the rows under its windows, and is padded on
// its outer side only.
// CHECK-LABEL: func.func @chain
// CHECK:       [[TOP:%[0-9]+]] = tile.view(%x) strides = [16384, 256, 4, 1] : (tensor<1x64x64x4xf32>) -> tensor<1x33x64x4xf32>
// CHECK-NEXT:  [[COLS:%[0-9]+]] = tile.window([[TOP]]) kind = im2col, kernel = [3, 3], strides = [1, 1], dilations = [1, 1], low = [1, 1], high = [0, 1], channels_last = true : (tensor<1x33x64x4xf32>) -> tensor<2048x36xf32>
// CHECK-NEXT:  tile.view(%x) offset = 7936, strides = [16384, 256, 4, 1] : (tensor<1x64x64x4xf32>) -> tensor<1x33x64x4xf32>
// CHECK-NEXT:  tile.window(%{{.*}}) kind = im2col, kernel = [3, 3], strides = [1, 1], dilations = [1, 1], low = [0, 1], high = [1, 1]
// CHECK:       tile.mvm %a, [[COLS]] : (!tile.crossbar<1x36x128>, tensor<2048x36xf32>) -> tensor<2048x128xf32>
// CHECK:       [[ALL:%[0-9]+]] = tile.concat(%{{.*}}, %{{.*}}) axis = 1 : (tensor<1x32x64x128xf32>, tensor<1x32x64x128xf32>) -> tensor<1x64x64x128xf32>
// CHECK:       tile.view([[ALL]]) strides = [524288, 8192, 128, 1] : (tensor<1x64x64x128xf32>) -> tensor<1x33x64x128xf32>
// CHECK:       tile.view([[ALL]]) offset = 253952
// CHECK:       [[OUT:%[0-9]+]] = tile.concat(%{{.*}}, %{{.*}}) axis = 1 : (tensor<1x32x64x8xf32>, tensor<1x32x64x8xf32>) -> tensor<1x64x64x8xf32>
// CHECK-NEXT:  func.return [[OUT]]
// WHOLE-LABEL: func.func @chain
// WHOLE:       -> tensor<4096x36xf32>
// WHOLE-NOT:   tile.concat
func.func @chain(%x: tensor<1x64x64x4xf32>) -> tensor<1x64x64x8xf32> {
  %a = tile.program <"a"> tiles dense<[[0, 0, 36, 0, 128]]> : tensor<1x5xi32> : !tile.crossbar<1x36x128>
  %b = tile.program <"b"> tiles dense<[[0, 0, 384, 0, 8]]> : tensor<1x5xi32> : !tile.crossbar<1x384x8>
  %1 = tile.window(%x) kind = im2col, kernel = [3, 3], strides = [1, 1], dilations = [1, 1], low = [1, 1], high = [1, 1], channels_last = true : (tensor<1x64x64x4xf32>) -> tensor<4096x36xf32>
  %2 = tile.mvm %a, %1 : (!tile.crossbar<1x36x128>, tensor<4096x36xf32>) -> tensor<4096x128xf32>
  %3 = tile.view(%2) strides = [524288, 8192, 128, 1] : (tensor<4096x128xf32>) -> tensor<1x64x64x128xf32>
  %4 = tile.window(%3) kind = im2col, kernel = [3, 1], strides = [1, 1], dilations = [1, 1], low = [1, 0], high = [1, 0], channels_last = true : (tensor<1x64x64x128xf32>) -> tensor<4096x384xf32>
  %5 = tile.mvm %b, %4 : (!tile.crossbar<1x384x8>, tensor<4096x384xf32>) -> tensor<4096x8xf32>
  %6 = tile.view(%5) strides = [32768, 512, 8, 1] : (tensor<4096x8xf32>) -> tensor<1x64x64x8xf32>
  func.return %6 : tensor<1x64x64x8xf32>
}

// -----

// Products without windows, as a decoder has them, are left alone.
// CHECK-LABEL: func.func @decoder
// CHECK-NOT:   tile.concat
// CHECK:       func.return
func.func @decoder(%x: tensor<64x128xf32>) -> tensor<64x128xf32> {
  %a = tile.program <"a"> tiles dense<[[0, 0, 128, 0, 128]]> : tensor<1x5xi32> : !tile.crossbar<1x128x128>
  %1 = tile.mvm %a, %x : (!tile.crossbar<1x128x128>, tensor<64x128xf32>) -> tensor<64x128xf32>
  %2 = tile.mvm %a, %1 : (!tile.crossbar<1x128x128>, tensor<64x128xf32>) -> tensor<64x128xf32>
  func.return %2 : tensor<64x128xf32>
}
