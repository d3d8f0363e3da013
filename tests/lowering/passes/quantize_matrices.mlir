// The named pipeline runs the passes of quantisation one after another.
// RUN: semc opt %s -p "convert-graph-to-tile,cut-tiles,quantize-matrices{target=memcap-demo}" | filecheck %s
// RUN: semc opt %s -p "convert-graph-to-tile,cut-tiles,compute-nonfinite-digitally,choose-input-ranges{target=memcap-demo},round-weights{target=memcap-demo},choose-converter-ranges{target=memcap-demo},prove-lossless{target=memcap-demo}" | filecheck %s
// RUN: not semc opt %s -p "convert-graph-to-tile,quantize-matrices{target=memcap-demo}" 2>&1 | filecheck %s --check-prefix=UNCUT
// RUN: not semc opt %s -p "round-weights{target=mesh-small}" 2>&1 | filecheck %s --check-prefix=MESH
// RUN: not semc opt %s -p "quantize-matrices{bits=4}" 2>&1 | filecheck %s --check-prefix=OPTION
// RUN: not semc opt %s -p "quantize-matrices{ranges=\"median\"}" 2>&1 | filecheck %s --check-prefix=METHOD

// UNCUT: error: fc: tile.program is not cut into tiles yet: run cut-tiles
// MESH: error: round-weights needs a target with arrays, mesh-small has none
// OPTION: has no option 'bits'; it has: target, ranges, rounding
// METHOD: a range must be chosen by mse, minmax, percentile, statistics, came 'median'

// Without calibration each vector's range is found while running: no input_scale.
// CHECK-LABEL: func.func @present
// CHECK: tile.program <"fc.matrix"> codes <"fc.matrix.codes"> scale <"fc.matrix.scale"> adc_range dense<{{.*}}> : tensor<1xf32> lossless dense<{{.*}}> : tensor<1xi32> tiles
func.func @present(%x: tensor<1x2xf32>) -> tensor<1x3xf32> {
  %w = graph.constant dense<[[1.0, -2.0, 0.0], [0.5, 0.25, 0.0]]> : tensor<2x3xf32> loc("fc")
  %0 = graph.linear(%x, %w) : (tensor<1x2xf32>, tensor<2x3xf32>) -> tensor<1x3xf32> loc("fc")
  func.return %0 : tensor<1x3xf32>
}

// Nothing is known of a matrix without its bytes.
// CHECK-LABEL: func.func @absent
// CHECK: tile.program <"w.matrix"> tiles
func.func @absent(%x: tensor<1x2xf32>) -> tensor<1x3xf32> {
  %w = graph.constant #graph.weight<"w"> : tensor<2x3xf32>
  %0 = graph.linear(%x, %w) : (tensor<1x2xf32>, tensor<2x3xf32>) -> tensor<1x3xf32>
  func.return %0 : tensor<1x3xf32>
}
