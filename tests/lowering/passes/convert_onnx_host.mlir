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

// A slice whose ends are computed has no fixed shape of its own: the host runs it, and says why.
// CHECK-LABEL: func.func @computed_slice
// CHECK: graph.host(%x, %starts, %ends) {{.*}} {op = "Slice", reason = "{{.*}}computed while running{{.*}}", value = "part"}
func.func @computed_slice(%x: tensor<8xf32>, %starts: tensor<1xi64>, %ends: tensor<1xi64>) -> tensor<4xf32> {
  %y = onnx.Slice(%x, %starts, %ends, _, _) {value = "part"}
    : (tensor<8xf32>, tensor<1xi64>, tensor<1xi64>) -> (tensor<4xf32>)
  func.return %y : tensor<4xf32>
}
