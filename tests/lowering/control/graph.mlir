// RUN: semc opt %s -p convert-onnx-to-graph | filecheck %s

// A Scan is a loop that gathers its slice, and writes a row of each stacked output; its slices from
// the end are counted from the end.
// CHECK-LABEL: func.func @scan
// CHECK: %[[ROWS:.*]] = graph.map() : () -> tensor<3x2xf32>
// CHECK: %[[Y:.*]], %[[Z:.*]] = graph.loop (%s, %[[ROWS]]) max 3 {values = ["y", "z"]} : (tensor<2xf32>, tensor<3x2xf32>) -> (tensor<2xf32>, tensor<3x2xf32>) {
// CHECK-NEXT: ^bb0(%[[I:.*]]: tensor<i64>, %[[A:.*]]: tensor<2xf32>, %[[R:.*]]: tensor<3x2xf32>):
// CHECK-NEXT: %[[BACK:.*]] = graph.map(%[[I]])
// CHECK: %[[X:.*]] = graph.gather(%x, %[[BACK]]) mode = axis
// CHECK: %[[T:.*]] = graph.map(%[[A]], %[[X]]) {value = "t"}
// CHECK: %[[W:.*]] = graph.update(%[[R]], %[[I]], %[[T]])
// CHECK-NEXT: graph.yield %[[T]], %[[W]] : tensor<2xf32>, tensor<3x2xf32>
// CHECK: func.return %[[Y]], %[[Z]]
func.func @scan(%s: tensor<2xf32>, %x: tensor<3x2xf32>) -> (tensor<2xf32>, tensor<3x2xf32>) {
  %y, %z = onnx.Scan(%s, %x) <{num_scan_inputs = 1 : i64, scan_input_directions = array<i64: 1>, body = dense<0> : tensor<1xi8>}> {values = ["y", "z"]} : (tensor<2xf32>, tensor<3x2xf32>) -> (tensor<2xf32>, tensor<3x2xf32>) {
  ^bb0(%a: tensor<2xf32>, %b: tensor<2xf32>):
    %t = onnx.Add(%a, %b) {value = "t"} : (tensor<2xf32>, tensor<2xf32>) -> (tensor<2xf32>)
    onnx.yield %t, %t : tensor<2xf32>, tensor<2xf32>
  }
  func.return %y, %z : tensor<2xf32>, tensor<3x2xf32>
}

// A trip count and a condition that are computed; the body hands the condition on.
// CHECK-LABEL: func.func @loop
// CHECK: graph.loop (%c, %x) max 9223372036854775807 trip %n while
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<i64>, %[[GO:.*]]: tensor<i1>, %[[V:.*]]: tensor<2xf32>):
// CHECK: graph.yield %[[GO]], %{{.*}} : tensor<i1>, tensor<2xf32>
func.func @loop(%n: tensor<i64>, %c: tensor<i1>, %x: tensor<2xf32>) -> tensor<2xf32> {
  %y = onnx.Loop(%n, %c, %x) <{body = dense<0> : tensor<1xi8>}> : (tensor<i64>, tensor<i1>, tensor<2xf32>) -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i64>, %go: tensor<i1>, %v: tensor<2xf32>):
    %t = onnx.Neg(%v) : (tensor<2xf32>) -> (tensor<2xf32>)
    onnx.yield %go, %t : tensor<i1>, tensor<2xf32>
  }
  func.return %y : tensor<2xf32>
}

// Known from the start, and never ended by the body: no condition is carried.
// CHECK-LABEL: func.func @counted
// CHECK: graph.loop (%x) max 4 :
// CHECK-NEXT: ^bb0(%{{.*}}: tensor<i64>, %{{.*}}: tensor<2xf32>):
func.func @counted(%x: tensor<2xf32>) -> tensor<2xf32> {
  %n = graph.constant dense<4> : tensor<i64>
  %y = onnx.Loop(%n, _, %x) <{body = dense<0> : tensor<1xi8>}> : (tensor<i64>, tensor<2xf32>) -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i64>, %go: tensor<i1>, %v: tensor<2xf32>):
    %t = onnx.Neg(%v) : (tensor<2xf32>) -> (tensor<2xf32>)
    onnx.yield %go, %t : tensor<i1>, tensor<2xf32>
  }
  func.return %y : tensor<2xf32>
}

// CHECK-LABEL: func.func @if
// CHECK: graph.if %c {value = "y"} : -> (tensor<2xf32>) {
// CHECK: graph.map(%x)
// CHECK: graph.yield
// CHECK: } {
// CHECK-NEXT: graph.yield %x : tensor<2xf32>
func.func @if(%c: tensor<i1>, %x: tensor<2xf32>) -> tensor<2xf32> {
  %y = onnx.If(%c) <{then_branch = dense<0> : tensor<1xi8>, else_branch = dense<0> : tensor<1xi8>}> {value = "y"} : (tensor<i1>) -> (tensor<2xf32>) {
    %t = onnx.Neg(%x) : (tensor<2xf32>) -> (tensor<2xf32>)
    onnx.yield %t : tensor<2xf32>
  } {
    onnx.yield %x : tensor<2xf32>
  }
  func.return %y : tensor<2xf32>
}
