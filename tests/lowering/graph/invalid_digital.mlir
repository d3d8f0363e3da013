// RUN: semc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: 'graph.view' {{.*}}a view must stay in 0..23, it touches 6..29
func.func @view_bounds(%x: tensor<4x6xf32>) {
  %0 = graph.view(%x) offset = 6, strides = [6, 1] : (tensor<4x6xf32>) -> tensor<4x6xf32>
  func.return
}

// -----

// CHECK: 'graph.view' {{.*}}a view must stay in 0..23, it touches -5..18
func.func @view_below(%x: tensor<4x6xf32>) {
  %0 = graph.view(%x) strides = [6, -1] : (tensor<4x6xf32>) -> tensor<4x6xf32>
  func.return
}

// -----

// CHECK: 'graph.view' {{.*}}one stride a result dim: 1, got 2
func.func @view_rank(%x: tensor<4x6xf32>) {
  %0 = graph.view(%x) strides = [6, 1] : (tensor<4x6xf32>) -> tensor<24xf32>
  func.return
}

// -----

// CHECK: 'graph.map' {{.*}}body takes ('f32',), operands are ('f16',)
func.func @map_types(%x: tensor<4xf16>) {
  %0 = graph.map(%x) : (tensor<4xf16>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    graph.yield %a : f32
  }
  func.return
}

// -----

// CHECK: 'graph.map' {{.*}}body yields f32, declared float16
func.func @map_result(%x: tensor<4xf32>) {
  %0 = graph.map(%x) : (tensor<4xf32>) -> tensor<4xf16> {
  ^bb0(%a: f32):
    graph.yield %a : f32
  }
  func.return
}

// -----

// CHECK: 'graph.map' {{.*}}shapes must broadcast, got (4,), (3,)
func.func @map_shapes(%x: tensor<4xf32>, %y: tensor<3xf32>) {
  %0 = graph.map(%x, %y) : (tensor<4xf32>, tensor<3xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    graph.yield %c : f32
  }
  func.return
}

// -----

// CHECK: 'graph.map' {{.*}}needs a body
func.func @map_body(%x: tensor<4xf32>) {
  %0 = graph.map(%x) : (tensor<4xf32>) -> tensor<4xf32>
  func.return
}

// -----

// A body computes on scalars only.
// CHECK: 'graph.map' {{.*}}graph.constant is not a scalar operation of a map body
func.func @map_op(%x: tensor<4xf32>) {
  %0 = graph.map(%x) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    %w = graph.constant #graph.weight<"w"> : tensor<4xf32>
    graph.yield %a : f32
  }
  func.return
}

// -----

// CHECK: 'graph.reduce' {{.*}}kind must be one of {{.*}}, got median
func.func @reduce_kind(%x: tensor<4x6xf32>) {
  %0 = graph.reduce(%x) kind = median, axes = [0] : (tensor<4x6xf32>) -> tensor<6xf32>
  func.return
}

// -----

// CHECK: 'graph.reduce' {{.*}}axis must be in 0..1, got 2
func.func @reduce_axis(%x: tensor<4x6xf32>) {
  %0 = graph.reduce(%x) kind = sum, axes = [2] : (tensor<4x6xf32>) -> tensor<4xf32>
  func.return
}

// -----

// CHECK: 'graph.reduce' {{.*}}yields elements of int64, declared float32
func.func @reduce_argmax(%x: tensor<4x6xf32>) {
  %0 = graph.reduce(%x) kind = argmax, axes = [0] : (tensor<4x6xf32>) -> tensor<6xf32>
  func.return
}

// -----

// CHECK: 'graph.contract' {{.*}}needs [.., M, K] and [.., K, N], got (4, 6) and (4, 6)
func.func @contract_depth(%x: tensor<4x6xf32>) {
  %0 = graph.contract(%x, %x) : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x6xf32>
  func.return
}

// -----

// CHECK: 'graph.concat' {{.*}}equal sizes outside axis 0
func.func @concat_sizes(%x: tensor<4x6xf32>, %y: tensor<4x5xf32>) {
  %0 = graph.concat(%x, %y) axis = 0 : (tensor<4x6xf32>, tensor<4x5xf32>) -> tensor<8x6xf32>
  func.return
}

// -----

// CHECK: 'graph.gather' {{.*}}indices must be integers
func.func @gather_floats(%x: tensor<4x6xf32>, %i: tensor<2xf32>) {
  %0 = graph.gather(%x, %i) mode = axis : (tensor<4x6xf32>, tensor<2xf32>) -> tensor<2x6xf32>
  func.return
}

// -----

// CHECK: 'graph.window' {{.*}}channels 3 must divide into groups 2
func.func @window_groups(%x: tensor<1x3x8x8xf32>) {
  %0 = graph.window(%x) kind = im2col, kernel = [1, 1], strides = [1, 1], dilations = [1, 1], low = [0, 0], high = [0, 0], groups = 2 : (tensor<1x3x8x8xf32>) -> tensor<2x64x1xf32>
  func.return
}

// -----

// CHECK: 'graph.scatter' {{.*}}takes 3 operands, got 2
func.func @scatter_operands(%x: tensor<4xf32>, %i: tensor<1xi64>) {
  %0 = graph.scatter(%x, %i) mode = nd : (tensor<4xf32>, tensor<1xi64>) -> tensor<4xf32>
  func.return
}

// -----

// CHECK: 'graph.pad' {{.*}}leaves a negative size
func.func @pad_crop(%x: tensor<4xf32>) {
  %0 = graph.pad(%x) low = [-3], high = [-2] : (tensor<4xf32>) -> tensor<0xf32>
  func.return
}

// -----

// CHECK: error: {{.*}}graph.reduce has no field axis, it has
func.func @unknown_field(%x: tensor<4xf32>) {
  %0 = graph.reduce(%x) kind = sum, axis = 0 : (tensor<4xf32>) -> tensor<f32>
  func.return
}

// -----

// CHECK: error: {{.*}}graph.view needs strides
func.func @missing_field(%x: tensor<4xf32>) {
  %0 = graph.view(%x) offset = 0 : (tensor<4xf32>) -> tensor<4xf32>
  func.return
}
