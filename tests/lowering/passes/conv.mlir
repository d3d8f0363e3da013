// RUN: semc opt %s -p convert-graph-to-tile | filecheck %s

// CHECK-LABEL: func.func @padded
// CHECK-NEXT: %[[M:.*]] = tile.program <"k.im2col1"> : !tile.crossbar<1x27x6>
// CHECK-NEXT: %[[X:.*]] = tile.window(%x) kind = im2col, kernel = [3, 3], strides = [2, 1], dilations = [1, 2], low = [1, 2], high = [0, 2] : (tensor<2x3x8x8xf32>) -> tensor<64x27xf32>
// CHECK-NEXT: %[[Y:.*]] = tile.mvm %[[M]], %[[X]] : ({{.*}}) -> tensor<64x6xf32>
// Rows are (image, position); the result has channels before positions.
// CHECK-NEXT: %[[V:.*]] = tile.view(%[[Y]]) strides = [192, 1, 48, 6] : (tensor<64x6xf32>) -> tensor<2x6x4x8xf32>
// CHECK-NEXT: %[[B:.*]] = graph.constant #graph.weight<"b.column3"> : tensor<6x1x1xf32>
// CHECK-NEXT: tile.map(%[[V]], %[[B]]) {value = "y"} :
func.func @padded(%x: tensor<2x3x8x8xf32>) -> tensor<2x6x4x8xf32> {
  %w = graph.constant #graph.weight<"k"> : tensor<6x3x3x3xf32>
  %b = graph.constant #graph.weight<"b"> : tensor<6xf32>
  %0 = graph.conv(%x, %w, %b) strides [2, 1] dilations [1, 2] low [1, 2] high [0, 2] groups 1 {value = "y"}
    : (tensor<2x3x8x8xf32>, tensor<6x3x3x3xf32>, tensor<6xf32>) -> tensor<2x6x4x8xf32>
  func.return %0 : tensor<2x6x4x8xf32>
}

// A computed bias is brought into place by a view.
// CHECK-LABEL: func.func @computed_bias
// CHECK: %[[B:.*]] = tile.view(%b) strides = [1, 1] : (tensor<6xf32>) -> tensor<6x1xf32>
// CHECK: tile.map(%{{.*}}, %[[B]])
func.func @computed_bias(%x: tensor<1x3x8xf32>, %b: tensor<6xf32>) -> tensor<1x6x6xf32> {
  %w = graph.constant #graph.weight<"k"> : tensor<6x3x3xf32>
  %0 = graph.conv(%x, %w, %b) strides [1] dilations [1] low [0] high [0] groups 1
    : (tensor<1x3x8xf32>, tensor<6x3x3xf32>, tensor<6xf32>) -> tensor<1x6x6xf32>
  func.return %0 : tensor<1x6x6xf32>
}

// Integers stay on the vector engine.
// CHECK-LABEL: func.func @integers
// CHECK: tile.window(%x, %w) kind = dot
// CHECK-NOT: tile.program
func.func @integers(%x: tensor<1x3x8xi32>) -> tensor<1x6x6xi32> {
  %w = graph.constant #graph.weight<"k"> : tensor<6x3x3xi32>
  %0 = graph.conv(%x, %w) strides [1] dilations [1] low [0] high [0] groups 1
    : (tensor<1x3x8xi32>, tensor<6x3x3xi32>) -> tensor<1x6x6xi32>
  func.return %0 : tensor<1x6x6xi32>
}
