// RUN: semc opt %s -p fuse-maps | filecheck %s
// RUN: semc opt %s -p "fuse-maps{max-ops=1}" | filecheck %s --check-prefix=OPS
// RUN: semc opt %s -p "fuse-maps{max-operands=2}" | filecheck %s --check-prefix=OPERANDS

// CHECK-LABEL: func.func @main
// CHECK-COUNT-1: graph.map(%x, %y, %z)
// CHECK-NEXT: ^bb0
// OPS-COUNT-2: graph.map
// OPERANDS-COUNT-2: graph.map
func.func @main(%x: tensor<4xf32>, %y: tensor<4xf32>, %z: tensor<4xf32>) -> tensor<4xf32> {
  %0 = graph.map(%x, %y) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    graph.yield %c : f32
  }
  %1 = graph.map(%0, %z) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32, %b: f32):
    %c = arith.mulf %a, %b : f32
    graph.yield %c : f32
  }
  func.return %1 : tensor<4xf32>
}
