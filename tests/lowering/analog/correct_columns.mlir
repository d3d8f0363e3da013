// RUN: semc opt %s -p "onnx-to-graph,graph-to-tile,tile-to-place,convert-place-to-analog" | filecheck %s --check-prefix=BEFORE
// RUN: semc opt %s -p "onnx-to-graph,graph-to-tile,tile-to-place,convert-place-to-analog,correct-columns{target=memcap-demo}" | filecheck %s
// RUN: semc opt %s -p "onnx-to-graph,graph-to-tile,tile-to-place,place-to-machine" | filecheck %s
// RUN: not semc opt %s -p "correct-columns{target=mesh-small}" 2>&1 | filecheck %s --check-prefix=MESH

// MESH: error: correct-columns needs a target with arrays, mesh-small has none

// The gain of a column is known once its tile has a site.
// BEFORE: analog.program matrix 0 <"fc.matrix"> codes
// BEFORE-NOT: gain
// CHECK: analog.program matrix 0 <"fc.matrix"> codes <"fc.matrix.codes"> scale <"fc.matrix.scale"> {{.*}} gain <"fc.matrix.gain"> tiles
func.func @main(%x: tensor<1x2xf32>) -> tensor<1x3xf32> {
  %w = graph.constant dense<[[1.0, -2.0, 0.0], [0.5, 0.25, 0.0]]> : tensor<2x3xf32> loc("fc")
  %0 = graph.linear(%x, %w) : (tensor<1x2xf32>, tensor<2x3xf32>) -> tensor<1x3xf32> loc("fc")
  func.return %0 : tensor<1x3xf32>
}
