// RUN: semc opt %s -p convert-onnx-to-graph | filecheck %s
// RUN: semc opt %s -p convert-onnx-to-graph --print-debuginfo | filecheck %s --check-prefix=LOC

// Stored weights make a linear; the value's name and the node's location go with the result.
// CHECK-LABEL: func.func @gemm
// CHECK: graph.linear(%x, %{{.*}}) {value = "y"} : (tensor<1x4xf32>, tensor<4x3xf32>) -> tensor<1x3xf32>
// LOC-LABEL: func.func @gemm
// LOC: graph.linear{{.*}} loc("fc")
func.func @gemm(%x: tensor<1x4xf32>) -> tensor<1x3xf32> {
  %w = graph.constant #graph.weight<"fc.weight"> : tensor<4x3xf32>
  %y = onnx.MatMul(%x, %w) {value = "y"} : (tensor<1x4xf32>, tensor<4x3xf32>) -> (tensor<1x3xf32>) loc("fc")
  func.return %y : tensor<1x3xf32>
}

// Two computed operands are a contraction.
// CHECK-LABEL: func.func @matmul
// CHECK-NEXT: graph.contract(%x, %z) {value = "y"}
func.func @matmul(%x: tensor<2x4xf32>, %z: tensor<4x3xf32>) -> tensor<2x3xf32> {
  %y = onnx.MatMul(%x, %z) {value = "y"} : (tensor<2x4xf32>, tensor<4x3xf32>) -> (tensor<2x3xf32>)
  func.return %y : tensor<2x3xf32>
}

// An identity leaves nothing behind, and the name of the value before it stays.
// CHECK-LABEL: func.func @identity
// CHECK-NEXT: %[[R:.*]] = graph.map(%x{{.*}}) {value = "r"}
// CHECK-NOT: onnx
// CHECK: func.return %[[R]]
func.func @identity(%x: tensor<4xf32>) -> tensor<4xf32> {
  %r = onnx.Relu(%x) {value = "r"} : (tensor<4xf32>) -> (tensor<4xf32>)
  %i = onnx.Identity(%r) {value = "i"} : (tensor<4xf32>) -> (tensor<4xf32>)
  func.return %i : tensor<4xf32>
}

// Each result of a split has its own name; what nothing uses is not computed.
// CHECK-LABEL: func.func @split
// CHECK: graph.view(%x) offset = 2, strides = [1] {value = "b"} : (tensor<6xf32>) -> tensor<2xf32>
// CHECK-NOT: graph.view
// CHECK: func.return
func.func @split(%x: tensor<6xf32>) -> tensor<2xf32> {
  %sizes = graph.constant dense<2> : tensor<3xi64>
  %a, %b, %c = onnx.Split(%x, %sizes) {values = ["a", "b", "c"]} : (tensor<6xf32>, tensor<3xi64>) -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>)
  func.return %b : tensor<2xf32>
}
