// RUN: semc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: error: {{.*}}invalid.mlir:7:3: 'graph.linear' {{.*}}weight must come from graph.constant
func.func @computed_weight(%x: tensor<2x4xf32>, %w: tensor<4x3xf32>) -> tensor<2x3xf32> {
  // A product of two computed tensors is graph.contract.
  // (the line below is the seventh)
  %0 = graph.linear(%x, %w) : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  func.return %0 : tensor<2x3xf32>
}

// -----

// CHECK: 'graph.linear' {{.*}}needs x [.., K] and weight [K, N], got (2, 5), (4, 3)
func.func @linear_depth(%x: tensor<2x5xf32>) -> tensor<2x3xf32> {
  %w = graph.constant #graph.weight<"w"> : tensor<4x3xf32>
  %0 = graph.linear(%x, %w) : (tensor<2x5xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  func.return %0 : tensor<2x3xf32>
}

// -----

// CHECK: 'graph.linear' {{.*}}yields (2, 3), declared (3, 2)
func.func @linear_result(%x: tensor<2x4xf32>) -> tensor<3x2xf32> {
  %w = graph.constant #graph.weight<"w"> : tensor<4x3xf32>
  %0 = graph.linear(%x, %w) : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<3x2xf32>
  func.return %0 : tensor<3x2xf32>
}

// -----

// CHECK: 'graph.linear' {{.*}}bias must be [3], got [4]
func.func @linear_bias(%x: tensor<2x4xf32>, %b: tensor<4xf32>) -> tensor<2x3xf32> {
  %w = graph.constant #graph.weight<"w"> : tensor<4x3xf32>
  %0 = graph.linear(%x, %w, %b) : (tensor<2x4xf32>, tensor<4x3xf32>, tensor<4xf32>) -> tensor<2x3xf32>
  func.return %0 : tensor<2x3xf32>
}

// -----

// CHECK: 'graph.constant' {{.*}}needs #graph.weight<...> or dense<...>
func.func @constant_string() {
  %0 = "graph.constant"() <{value = "w"}> : () -> tensor<2xf32>
  func.return
}

// -----

// CHECK: 'graph.constant' {{.*}}holds tensor<2xf32>, declared tensor<3xf32>
func.func @constant_type() {
  %0 = "graph.constant"() <{value = dense<1.0> : tensor<2xf32>}> : () -> tensor<3xf32>
  func.return
}

// -----

// CHECK: 'graph.softmax' {{.*}}axis 2 is out of range
func.func @softmax_axis(%x: tensor<2x4xf32>) {
  %0 = graph.softmax %x axis 2 : tensor<2x4xf32> -> tensor<2x4xf32>
  func.return
}

// -----

// CHECK: 'graph.softmax' {{.*}}keeps the type of its operand
func.func @softmax_type(%x: tensor<2x4xf32>) {
  %0 = graph.softmax %x axis 1 : tensor<2x4xf32> -> tensor<2x4xf16>
  func.return
}

// -----

// CHECK: 'graph.norm' {{.*}}axes [2] are not dims of (2, 4)
func.func @norm_axes(%x: tensor<2x4xf32>) {
  %0 = graph.norm(%x) axes [2] epsilon 1.0e-5 : f64 center true : tensor<2x4xf32> -> tensor<2x4xf32>
  func.return
}

// -----

// CHECK: 'graph.norm' {{.*}}scale and bias must broadcast to x
func.func @norm_scale(%x: tensor<2x4xf32>, %s: tensor<3xf32>) {
  %0 = graph.norm(%x) scale %s : tensor<3xf32> axes [1] epsilon 1.0e-5 : f64 center true
    : tensor<2x4xf32> -> tensor<2x4xf32>
  func.return
}
