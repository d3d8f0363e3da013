// RUN: semc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: error: {{.*}}invalid.mlir:6:{{.*}}onnx.Relu
func.func @wrong_element_type(%x: tensor<2xf32>) -> tensor<2xi1> {
  // Relu has no form for booleans, and keeps its element type.
  %y = onnx.Relu(%x) : (tensor<2xf32>) -> (tensor<2xi1>)
  func.return %y : tensor<2xi1>
}

// -----

func.func @mixed_types(%x: tensor<2xf32>, %k: tensor<2xi64>) -> tensor<2xf32> {
  // CHECK: error: {{.*}}invalid.mlir:14:{{.*}}onnx.Add
  %y = onnx.Add(%x, %k) : (tensor<2xf32>, tensor<2xi64>) -> (tensor<2xf32>)
  func.return %y : tensor<2xf32>
}

// -----

func.func @missing_operand(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  // CHECK: error: {{.*}}invalid.mlir:22:{{.*}}onnx.MatMul must have its required inputs
  %y = onnx.MatMul(%x) : (tensor<2x2xf32>) -> (tensor<2x2xf32>)
  func.return %y : tensor<2x2xf32>
}

// -----

func.func @too_many(%x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK: error: {{.*}}invalid.mlir:30:{{.*}}onnx.Relu must have at most 1 inputs, not 2
  %y = onnx.Relu(%x, %x) : (tensor<2xf32>, tensor<2xf32>) -> (tensor<2xf32>)
  func.return %y : tensor<2xf32>
}

// -----

func.func @missing_attribute(%x: tensor<2xf32>) -> tensor<4xf32> {
  // CHECK: error: {{.*}}invalid.mlir:38:{{.*}}axis
  %y = onnx.Concat(%x, %x) : (tensor<2xf32>, tensor<2xf32>) -> (tensor<4xf32>)
  func.return %y : tensor<4xf32>
}

// -----

func.func @attribute_type(%x: tensor<2xf32>) -> tensor<2xf32> {
  // CHECK: error: {{.*}}invalid.mlir:46:{{.*}}onnx.Softmax
  %y = onnx.Softmax(%x) <{axis = "one"}> : (tensor<2xf32>) -> (tensor<2xf32>)
  func.return %y : tensor<2xf32>
}
