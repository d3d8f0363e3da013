// RUN: semc opt %s -p "convert-graph-to-tile,cut-tiles,quantize-matrices{target=memcap-demo}" | filecheck %s
// RUN: semc opt %s -p "convert-graph-to-tile,cut-tiles{rows=1},quantize-matrices{target=memcap-demo weight-bits=4 adc-bits=6}" | filecheck %s --check-prefix=CUT
// RUN: not semc opt %s -p "convert-graph-to-tile,quantize-matrices{target=memcap-demo}" 2>&1 | filecheck %s --check-prefix=UNCUT
// RUN: not semc opt %s -p "quantize-matrices{target=mesh-small}" 2>&1 | filecheck %s --check-prefix=MESH
// RUN: not semc opt %s -p "quantize-matrices{target=memcap-demo weight-bits=12}" 2>&1 | filecheck %s --check-prefix=BITS

// UNCUT: error: fc: tile.program is not cut into tiles yet: run cut-tiles
// MESH: error: quantize-matrices needs a target with arrays, mesh-small has none
// BITS: weight_bits

// Without calibration each vector's range is found while running: no input_scale.
// CHECK-LABEL: func.func @present
// CHECK: tile.program <"fc.matrix"> codes <"fc.matrix.codes"> scale <"fc.matrix.scale"> adc_range dense<{{.*}}> : tensor<1xf32> tiles
// CUT-LABEL: func.func @present
// CUT: adc_range dense<{{.*}}> : tensor<2xf32> tiles
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
