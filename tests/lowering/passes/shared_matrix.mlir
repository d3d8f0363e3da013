// RUN: semc opt %s -p convert-graph-to-tile | filecheck %s

// One matrix used twice is stored once, and three matrices of one input share its rows.
// CHECK-LABEL: func.func @main
// CHECK-COUNT-1: tile.program <"tied.matrix">
// CHECK: tile.mvm
// CHECK-NOT: tile.program <"tied.matrix
// CHECK: func.return
func.func @main(%x: tensor<3x8xf32>) -> tensor<3x8xf32> {
  %w = graph.constant #graph.weight<"tied"> : tensor<8x8xf32>
  %0 = graph.linear(%x, %w) : (tensor<3x8xf32>, tensor<8x8xf32>) -> tensor<3x8xf32>
  %again = graph.constant #graph.weight<"tied"> : tensor<8x8xf32>
  %1 = graph.linear(%0, %again) : (tensor<3x8xf32>, tensor<8x8xf32>) -> tensor<3x8xf32>
  func.return %1 : tensor<3x8xf32>
}

// CHECK-LABEL: func.func @projections
// CHECK-NEXT: %[[X:.*]] = tile.view(%x)
// CHECK-NOT: tile.view(%x)
// CHECK-DAG: tile.program <"q.matrix">
// CHECK-DAG: tile.program <"k.matrix">
// CHECK: tile.concat
func.func @projections(%x: tensor<2x3x8xf32>) -> tensor<4x3x8xf32> {
  %q = graph.constant #graph.weight<"q"> : tensor<8x8xf32>
  %k = graph.constant #graph.weight<"k"> : tensor<8x8xf32>
  %0 = graph.linear(%x, %q) : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %1 = graph.linear(%x, %k) : (tensor<2x3x8xf32>, tensor<8x8xf32>) -> tensor<2x3x8xf32>
  %2 = graph.concat(%0, %1) axis = 0 : (tensor<2x3x8xf32>, tensor<2x3x8xf32>) -> tensor<4x3x8xf32>
  func.return %2 : tensor<4x3x8xf32>
}
