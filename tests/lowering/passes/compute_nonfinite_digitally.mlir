// Matrices that cells can hold stay in arrays (text has no infinities: tests/unit has those).
// RUN: semc opt %s -p "convert-graph-to-tile,compute-nonfinite-digitally" | filecheck %s

// CHECK-LABEL: func.func @finite
// CHECK: tile.program
// CHECK: tile.mvm
func.func @finite(%x: tensor<1x2xf32>) -> tensor<1x1xf32> {
  %w = graph.constant dense<[[1.0], [2.0]]> : tensor<2x1xf32> loc("gc")
  %0 = graph.linear(%x, %w) : (tensor<1x2xf32>, tensor<2x1xf32>) -> tensor<1x1xf32> loc("gc")
  func.return %0 : tensor<1x1xf32>
}
