// RUN: semc opt %s -p convert-onnx-to-graph | filecheck %s

// What has no lowering runs on the host, as a model of its own; literals are inside the model.
// CHECK-LABEL: func.func @detection
// CHECK-NOT: graph.constant
// CHECK: graph.host(%boxes, %scores) model = dense<{{.*}}> : tensor<{{[0-9]+}}xi8> {op = "NonMaxSuppression", reason = "{{.+}}", value = "picked"}
// CHECK-SAME: (tensor<1x6x4xf32>, tensor<1x1x6xf32>) -> tensor<3x3xi64>
func.func @detection(%boxes: tensor<1x6x4xf32>, %scores: tensor<1x1x6xf32>) -> tensor<3x3xi64> {
  %most = graph.constant dense<3> : tensor<1xi64>
  %y = onnx.NonMaxSuppression(%boxes, %scores, %most, _, _) {value = "picked"}
    : (tensor<1x6x4xf32>, tensor<1x1x6xf32>, tensor<1xi64>) -> (tensor<3x3xi64>)
  func.return %y : tensor<3x3xi64>
}

// Several results, several names.
// CHECK-LABEL: func.func @unique
// CHECK: %{{.*}}, %{{.*}} = graph.host(%x) {{.*}} {op = "Unique", reason = "{{.+}}", values = ["u", "i"]}
func.func @unique(%x: tensor<4xf32>) -> (tensor<2xf32>, tensor<2xi64>) {
  %u, %i = onnx.Unique(%x) {values = ["u", "i"]} : (tensor<4xf32>) -> (tensor<2xf32>, tensor<2xi64>)
  func.return %u, %i : tensor<2xf32>, tensor<2xi64>
}

// A configuration that its lowering refuses: the host runs it, and says why.
// CHECK-LABEL: func.func @many_sets_of_axes
// CHECK: graph.host(%x, %axes) {{.*}} {op = "ReduceSum", reason = "70 sets of axes fit the shapes{{.*}}", value = "total"}
func.func @many_sets_of_axes(%x: tensor<2x2x2x2x2x2x2x2xf32>, %axes: tensor<4xi64>) -> tensor<2x2x2x2xf32> {
  %y = onnx.ReduceSum(%x, %axes) <{keepdims = 0 : i64}> {value = "total"}
    : (tensor<2x2x2x2x2x2x2x2xf32>, tensor<4xi64>) -> (tensor<2x2x2x2xf32>)
  func.return %y : tensor<2x2x2x2xf32>
}
