// RUN: semc opt %s | filecheck %s
// RUN: semc opt %s --print-op-generic | filecheck %s --check-prefix=GENERIC

// Attributes at their default are not there; omitted operands and results are blanks.
// CHECK-LABEL: func.func @main
func.func @main(%x: tensor<1x4xf32>, %image: tensor<1x3x8x8xf32>) -> tensor<1x3xf32> {
  // CHECK: %w = graph.constant #graph.weight<"fc.weight"> : tensor<3x4xf32>
  %w = graph.constant #graph.weight<"fc.weight"> : tensor<3x4xf32>
  // CHECK: %y = onnx.Gemm(%x, %w) <{transB = 1 : i64}> {value = "y"} :
  // CHECK-SAME: (tensor<1x4xf32>, tensor<3x4xf32>) -> (tensor<1x3xf32>)
  // GENERIC: "onnx.Gemm"(%x, %w) <{transB = 1 : i64}> {value = "y"}
  %y = onnx.Gemm(%x, %w) <{transB = 1 : i64}> {value = "y"}
    : (tensor<1x4xf32>, tensor<3x4xf32>) -> (tensor<1x3xf32>)
  %scales = graph.constant dense<[1.0, 1.0, 2.0, 2.0]> : tensor<4xf32>
  // CHECK: onnx.Resize(%image, _, %scales) <{mode = "linear"}>
  // GENERIC: "onnx.Resize"(%image, %scales) <{mode = "linear", operandSegmentSizes = array<i32: 1, 0, 1, 0>}>
  %big = onnx.Resize(%image, _, %scales) <{mode = "linear"}>
    : (tensor<1x3x8x8xf32>, tensor<4xf32>) -> (tensor<1x3x16x16xf32>)
  // CHECK: onnx.MaxPool(%big) <{kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>}>
  %pool = onnx.MaxPool(%big) <{kernel_shape = array<i64: 2, 2>, strides = array<i64: 2, 2>}>
    : (tensor<1x3x16x16xf32>) -> (tensor<1x3x8x8xf32>)
  // Variadic operands follow one another.
  // CHECK: onnx.Concat(%pool, %image, %pool) <{axis = 1 : i64}>
  %joined = onnx.Concat(%pool, %image, %pool) <{axis = 1 : i64}>
    : (tensor<1x3x8x8xf32>, tensor<1x3x8x8xf32>, tensor<1x3x8x8xf32>) -> (tensor<1x9x8x8xf32>)
  func.return %y : tensor<1x3xf32>
}

// CHECK-LABEL: func.func @recurrent
func.func @recurrent(%x: tensor<5x1x2xf32>, %w: tensor<1x12x2xf32>, %r: tensor<1x12x3xf32>)
    -> tensor<1x1x3xf32> {
  // CHECK: %h = onnx.LSTM(%x, %w, %r) <{hidden_size = 3 : i64}> :
  // CHECK-SAME: -> (_, tensor<1x1x3xf32>)
  // GENERIC: resultSegmentSizes = array<i32: 0, 1, 0>
  %h = onnx.LSTM(%x, %w, %r) <{hidden_size = 3 : i64}>
    : (tensor<5x1x2xf32>, tensor<1x12x2xf32>, tensor<1x12x3xf32>) -> (_, tensor<1x1x3xf32>)
  func.return %h : tensor<1x1x3xf32>
}

// Operators of other domains have the domain in their name; strings may be outside ASCII.
// CHECK-LABEL: func.func @scaler
func.func @scaler(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  // CHECK: onnx.ai.onnx.ml.Scaler(%x) <{offset = array<f32: 1.000000e+00, 2.000000e+00>}>
  %y = onnx.ai.onnx.ml.Scaler(%x) <{offset = array<f32: 1.0, 2.0>}> {value = "caf\C3\A9"}
    : (tensor<2x2xf32>) -> (tensor<2x2xf32>)
  func.return %y : tensor<2x2xf32>
}
