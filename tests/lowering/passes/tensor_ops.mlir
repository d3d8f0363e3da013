// RUN: semc opt %s -p convert-graph-to-tile | filecheck %s
// RUN: semc opt %s -p convert-graph-to-tile | semc opt - -p convert-graph-to-tile | filecheck %s

// A digital op is the same op at the tile level, with its name, its location and its body.
// CHECK-LABEL: func.func @main
// CHECK-NOT: graph.{{[a-bd-z]}}
func.func @main(%x: tensor<4x6xf32>, %i: tensor<2xi64>) -> (tensor<4x6xf32>, tensor<1x2xi64>) {
  // CHECK: %c = graph.constant dense<2.000000e+00> : tensor<f32>
  %c = graph.constant dense<2.0> : tensor<f32>
  // CHECK: tile.map(%x, %c) {value = "scaled"} : (tensor<4x6xf32>, tensor<f32>) -> tensor<4x6xf32> {
  // CHECK-NEXT: ^bb0(%{{.*}}: f32, %{{.*}}: f32):
  // CHECK-NEXT: arith.mulf
  // CHECK-NEXT: tile.yield
  %0 = graph.map(%x, %c) {value = "scaled"} : (tensor<4x6xf32>, tensor<f32>) -> tensor<4x6xf32> {
  ^bb0(%a: f32, %b: f32):
    %m = arith.mulf %a, %b : f32
    graph.yield %m : f32
  }
  // CHECK: tile.view(%{{.*}}) offset = 5, strides = [6, -1]
  %1 = graph.view(%0) offset = 5, strides = [6, -1] : (tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: tile.cumulate(%{{.*}}) kind = sum, axis = 0
  %2 = graph.cumulate(%1) kind = sum, axis = 0 : (tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: tile.host(%i) model = dense<{{.*}}> : tensor<2xi8> {op = "NonZero", reason = "no lowering of this operator", value = "nz"} : (tensor<2xi64>) -> tensor<1x2xi64>
  %3 = graph.host(%i) model = dense<[1, 2]> : tensor<2xi8> {op = "NonZero", reason = "no lowering of this operator", value = "nz"} : (tensor<2xi64>) -> tensor<1x2xi64>
  // What nothing uses is dropped, unless it runs on the host.
  // CHECK-NOT: tile.reduce
  %4 = graph.reduce(%x) kind = sum, axes = [0] : (tensor<4x6xf32>) -> tensor<6xf32>
  // CHECK: tile.host(%x)
  graph.host(%x) model = dense<[1, 2]> : tensor<2xi8> : (tensor<4x6xf32>) -> ()
  func.return %2, %3 : tensor<4x6xf32>, tensor<1x2xi64>
}
