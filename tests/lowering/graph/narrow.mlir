// RUN: semc opt %s | filecheck %s
// RUN: semc opt %s --print-op-generic | filecheck %s --check-prefix=GENERIC

// Narrow elements are moved, stored and converted; no body computes with them.
// CHECK-LABEL: func.func @narrow
// GENERIC-LABEL: sym_name = "narrow"
func.func @narrow(%x: tensor<2x3xf8E4M3FN>, %q: tensor<4xui4>) -> (tensor<3x2xf8E4M3FN>, tensor<4xf4E2M1FN>) {
  // CHECK: graph.constant dense<[-8, 7, -1]> : tensor<3xi4>
  // GENERIC: "graph.constant"() <{value = dense<[-8, 7, -1]> : tensor<3xi4>}> : () -> tensor<3xi4>
  %codes = graph.constant dense<[-8, 7, -1]> : tensor<3xi4>
  // CHECK: graph.constant #graph.weight<"w"> : tensor<9x9xui2>
  %stored = graph.constant #graph.weight<"w"> : tensor<9x9xui2>
  // CHECK: graph.view(%x) strides = [1, 3] : (tensor<2x3xf8E4M3FN>) -> tensor<3x2xf8E4M3FN>
  %t = graph.view(%x) strides = [1, 3] : (tensor<2x3xf8E4M3FN>) -> tensor<3x2xf8E4M3FN>
  // CHECK: uitofp {{.*}} : i4 to f32
  // CHECK: truncf {{.*}} : f32 to f4E2M1FN
  %f = graph.map(%q) : (tensor<4xui4>) -> tensor<4xf4E2M1FN> {
  ^bb0(%e: ui4):
    %i = builtin.unrealized_conversion_cast %e : ui4 to i4
    %w = arith.uitofp %i : i4 to f32
    %r = arith.truncf %w : f32 to f4E2M1FN
    graph.yield %r : f4E2M1FN
  }
  func.return %t, %f : tensor<3x2xf8E4M3FN>, tensor<4xf4E2M1FN>
}
