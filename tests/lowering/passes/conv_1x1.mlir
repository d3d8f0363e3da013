// RUN: semc opt %s -p convert-graph-to-tile | filecheck %s

// A kernel of size 1 moves nothing but the channels.
// CHECK-LABEL: func.func @one_image
// CHECK-NOT: tile.window
// CHECK: %[[X:.*]] = tile.view(%x) strides = [1, 64] : (tensor<1x3x8x8xf32>) -> tensor<64x3xf32>
// CHECK-NEXT: %[[Y:.*]] = tile.mvm %{{.*}}, %[[X]]
// CHECK-NEXT: tile.view(%[[Y]]) strides = [{{[0-9]+}}, 1, 48, 6] : (tensor<64x6xf32>) -> tensor<1x6x8x8xf32>
func.func @one_image(%x: tensor<1x3x8x8xf32>) -> tensor<1x6x8x8xf32> {
  %w = graph.constant #graph.weight<"k"> : tensor<6x3x1x1xf32>
  %0 = graph.conv(%x, %w) strides [1, 1] dilations [1, 1] low [0, 0] high [0, 0] groups 1
    : (tensor<1x3x8x8xf32>, tensor<6x3x1x1xf32>) -> tensor<1x6x8x8xf32>
  func.return %0 : tensor<1x6x8x8xf32>
}

// Images lie apart, so that rows of several take two views.
// CHECK-LABEL: func.func @batch
// CHECK: %[[V:.*]] = tile.view(%x) strides = [{{[0-9]+}}, 192, 8, 1, 64] : (tensor<2x3x8x8xf32>) -> tensor<1x2x8x8x3xf32>
// CHECK-NEXT: tile.view(%[[V]]) strides = [3, 1] : (tensor<1x2x8x8x3xf32>) -> tensor<128x3xf32>
func.func @batch(%x: tensor<2x3x8x8xf32>) -> tensor<2x6x8x8xf32> {
  %w = graph.constant #graph.weight<"k"> : tensor<6x3x1x1xf32>
  %0 = graph.conv(%x, %w) strides [1, 1] dilations [1, 1] low [0, 0] high [0, 0] groups 1
    : (tensor<2x3x8x8xf32>, tensor<6x3x1x1xf32>) -> tensor<2x6x8x8xf32>
  func.return %0 : tensor<2x6x8x8xf32>
}

// Strides skip elements.
// CHECK-LABEL: func.func @strided
// CHECK-NOT: tile.window
// CHECK: tile.view(%x) strides = [2, 9] : (tensor<1x3x9xf32>) -> tensor<5x3xf32>
func.func @strided(%x: tensor<1x3x9xf32>) -> tensor<1x6x5xf32> {
  %w = graph.constant #graph.weight<"k"> : tensor<6x3x1xf32>
  %0 = graph.conv(%x, %w) strides [2] dilations [1] low [0] high [0] groups 1
    : (tensor<1x3x9xf32>, tensor<6x3x1xf32>) -> tensor<1x6x5xf32>
  func.return %0 : tensor<1x6x5xf32>
}

// Padding is the window's to add.
// CHECK-LABEL: func.func @padded
// CHECK: tile.window(%x) kind = im2col, kernel = [1]
func.func @padded(%x: tensor<1x3x9xf32>) -> tensor<1x6x11xf32> {
  %w = graph.constant #graph.weight<"k"> : tensor<6x3x1xf32>
  %0 = graph.conv(%x, %w) strides [1] dilations [1] low [1] high [1] groups 1
    : (tensor<1x3x9xf32>, tensor<6x3x1xf32>) -> tensor<1x6x11xf32>
  func.return %0 : tensor<1x6x11xf32>
}
