// RUN: semc opt %s -p convert-onnx-to-graph | filecheck %s

// A slice from a computed start reads at computed positions; where it ends, the shape tells.
// CHECK-LABEL: func.func @computed_start
// CHECK: %[[START:.*]] = graph.view(%starts)
// CHECK: %[[POSITIONS:.*]] = graph.map(%{{.*}}, %[[START]]) : (tensor<4xi64>, tensor<i64>) -> tensor<4xi64>
// CHECK: graph.gather(%x, %[[POSITIONS]]) mode = axis {value = "part"}
func.func @computed_start(%x: tensor<8xf32>, %starts: tensor<1xi64>, %ends: tensor<1xi64>) -> tensor<4xf32> {
  %y = onnx.Slice(%x, %starts, %ends, _, _) {value = "part"}
    : (tensor<8xf32>, tensor<1xi64>, tensor<1xi64>) -> (tensor<4xf32>)
  func.return %y : tensor<4xf32>
}

// One set of axes fits the shapes: the operand is not read.
// CHECK-LABEL: func.func @one_set_of_axes
// CHECK-NEXT: graph.reduce(%x) kind = sum, axes = [0]
func.func @one_set_of_axes(%x: tensor<2x3xf32>, %axes: tensor<1xi64>) -> tensor<3xf32> {
  %y = onnx.ReduceSum(%x, %axes) <{keepdims = 0 : i64}> {value = "total"}
    : (tensor<2x3xf32>, tensor<1xi64>) -> (tensor<3xf32>)
  func.return %y : tensor<3xf32>
}

// Two fit: the operand chooses.
// CHECK-LABEL: func.func @two_sets_of_axes
// CHECK: graph.reduce(%x) kind = sum, axes = [1]
// CHECK: graph.reduce(%x) kind = sum, axes = [0]
// CHECK: graph.scatter(%{{.*}}, %axes, %{{.*}}) mode = elements
// CHECK: graph.map(%{{.*}}) {value = "total"} : (tensor<i64>, tensor<3xf32>, tensor<3xf32>) -> tensor<3xf32>
// CHECK: arith.select
func.func @two_sets_of_axes(%x: tensor<3x3xf32>, %axes: tensor<1xi64>) -> tensor<3xf32> {
  %y = onnx.ReduceSum(%x, %axes) <{keepdims = 0 : i64}> {value = "total"}
    : (tensor<3x3xf32>, tensor<1xi64>) -> (tensor<3xf32>)
  func.return %y : tensor<3xf32>
}
