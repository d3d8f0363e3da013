// RUN: semc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: 'graph.conv' {{.*}}yields (1, 6, 6, 6), declared (1, 6, 8, 8)
func.func @spatial(%x: tensor<1x3x8x8xf32>) {
  %w = graph.constant #graph.weight<"w"> : tensor<6x3x3x3xf32>
  %0 = graph.conv(%x, %w) strides [1, 1] dilations [1, 1] low [0, 0] high [0, 0] groups 1
    : (tensor<1x3x8x8xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x8x8xf32>
  func.return
}

// -----

// CHECK: 'graph.conv' {{.*}}3 channels do not fit weight (6, 2, 3, 3) in 1 groups
func.func @channels(%x: tensor<1x3x8x8xf32>) {
  %w = graph.constant #graph.weight<"w"> : tensor<6x2x3x3xf32>
  %0 = graph.conv(%x, %w) strides [1, 1] dilations [1, 1] low [1, 1] high [1, 1] groups 1
    : (tensor<1x3x8x8xf32>, tensor<6x2x3x3xf32>) -> tensor<1x6x8x8xf32>
  func.return
}

// -----

// CHECK: 'graph.conv' {{.*}}differ in rank
func.func @rank(%x: tensor<1x3x8x8xf32>) {
  %w = graph.constant #graph.weight<"w"> : tensor<6x3x3x3xf32>
  %0 = graph.conv(%x, %w) strides [1] dilations [1, 1] low [1, 1] high [1, 1] groups 1
    : (tensor<1x3x8x8xf32>, tensor<6x3x3x3xf32>) -> tensor<1x6x8x8xf32>
  func.return
}

// -----

// CHECK: 'graph.conv' {{.*}}yields (1, 5, 16, 16), declared (1, 5, 8, 8)
func.func @transposed(%x: tensor<1x2x8x8xf32>) {
  %w = graph.constant #graph.weight<"w"> : tensor<2x5x2x2xf32>
  %0 = graph.conv(%x, %w) strides [2, 2] dilations [1, 1] low [0, 0] high [0, 0] groups 1 transposed
    : (tensor<1x2x8x8xf32>, tensor<2x5x2x2xf32>) -> tensor<1x5x8x8xf32>
  func.return
}

// -----

// CHECK: 'graph.conv' {{.*}}weight must come from graph.constant
func.func @computed(%x: tensor<1x1x4xf32>, %w: tensor<1x1x3xf32>) {
  %0 = graph.conv(%x, %w) strides [1] dilations [1] low [0] high [0] groups 1
    : (tensor<1x1x4xf32>, tensor<1x1x3xf32>) -> tensor<1x1x2xf32>
  func.return
}
