// RUN: semc opt %s -p convert-graph-to-tile | filecheck %s

// Zeros between the elements, then the mirrored kernel at stride 1.
// CHECK-LABEL: func.func @stride_2
// CHECK-NEXT: %[[P:.*]] = tile.pad(%x) low = [0, 0, 1, 1], high = [0, 0, 1, 2], interior = [0, 0, 1, 1] : (tensor<1x2x4x4xf32>) -> tensor<1x2x9x10xf32>
// CHECK-NEXT: %[[M:.*]] = tile.program <"k.mirrored1"> : !tile.crossbar<1x18x5>
// CHECK-NEXT: %[[X:.*]] = tile.window(%[[P]]) kind = im2col, kernel = [3, 3], strides = [1, 1], dilations = [1, 1], low = [0, 0], high = [0, 0] : (tensor<1x2x9x10xf32>) -> tensor<56x18xf32>
// CHECK-NEXT: tile.mvm %[[M]], %[[X]]
func.func @stride_2(%x: tensor<1x2x4x4xf32>) -> tensor<1x5x7x8xf32> {
  %w = graph.constant #graph.weight<"k"> : tensor<2x5x3x3xf32>
  %0 = graph.conv(%x, %w) strides [2, 2] dilations [1, 1] low [1, 1] high [1, 0] groups 1 transposed
    : (tensor<1x2x4x4xf32>, tensor<2x5x3x3xf32>) -> tensor<1x5x7x8xf32>
  func.return %0 : tensor<1x5x7x8xf32>
}

// Padding beyond the kernel crops the input.
// CHECK-LABEL: func.func @cropped
// CHECK-NEXT: tile.pad(%x) low = [0, 0, -1], high = [0, 0, -1] : (tensor<1x2x6xf32>) -> tensor<1x2x4xf32>
func.func @cropped(%x: tensor<1x2x6xf32>) -> tensor<1x5x3xf32> {
  %w = graph.constant #graph.weight<"k"> : tensor<2x5x2xf32>
  %0 = graph.conv(%x, %w) strides [1] dilations [1] low [2] high [2] groups 1 transposed
    : (tensor<1x2x6xf32>, tensor<2x5x2xf32>) -> tensor<1x5x3xf32>
  func.return %0 : tensor<1x5x3xf32>
}

// A grouped one on the vector engine needs its weights in the ordinary layout.
// CHECK-LABEL: func.func @depthwise
// CHECK: %[[W:.*]] = graph.constant #graph.weight<"d.forward4"> : tensor<4x1x2xf32>
// CHECK-NEXT: tile.window(%{{.*}}, %[[W]]) kind = dot, {{.*}}groups = 4
func.func @depthwise(%x: tensor<1x4x6xf32>) -> tensor<1x4x12xf32> {
  %w = graph.constant #graph.weight<"d"> : tensor<4x1x2xf32>
  %0 = graph.conv(%x, %w) strides [2] dilations [1] low [0] high [0] groups 4 transposed
    : (tensor<1x4x6xf32>, tensor<4x1x2xf32>) -> tensor<1x4x12xf32>
  func.return %0 : tensor<1x4x12xf32>
}
