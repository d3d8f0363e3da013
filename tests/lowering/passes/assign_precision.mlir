// Without samples nothing is known of a matrix's inputs, and its converters keep all bits.
// RUN: semc opt %s -p "assign-precision{target=memcap-demo energy-budget=0.5}" | filecheck %s
// RUN: semc opt %s -p "choose-converter-ranges{target=memcap-demo},prove-lossless{target=memcap-demo},correct-bias{target=memcap-demo}" | filecheck %s
// RUN: not semc opt %s -p "assign-precision{target=memcap-demo energy-budget=0.5 min-sqnr-db=30.0}" 2>&1 | filecheck %s --check-prefix=BOTH
// RUN: not semc opt %s -p "assign-precision{target=mesh-small}" 2>&1 | filecheck %s --check-prefix=MESH

// BOTH: error: precision has one budget: of energy, or of accuracy
// MESH: error: assign-precision needs a target with arrays, mesh-small has none

// All that a matrix carries survives the text of the level.
// CHECK: tile.program <"w"> codes <"w.codes"> scale <"w.scale"> adc_range dense<3.000000e+00> : tensor<1xf32> lossless dense<0> : tensor<1xi32> adc_bits 6 bias <"w.bias"> tiles
func.func @main(%x: tensor<1x2xf32>) -> tensor<1x3xf32> {
  %0 = tile.program <"w"> codes <"w.codes"> scale <"w.scale"> adc_range dense<[3.0]> : tensor<1xf32> lossless dense<[0]> : tensor<1xi32> adc_bits 6 bias <"w.bias"> tiles dense<[[0, 0, 2, 0, 3]]> : tensor<1x5xi32> : !tile.crossbar<1x2x3>
  %1 = tile.mvm %0, %x : (!tile.crossbar<1x2x3>, tensor<1x2xf32>) -> tensor<1x3xf32>
  func.return %1 : tensor<1x3xf32>
}
