// Tiles whose converters cannot clip or round are marked, and get the range of the worst case.
// RUN: semc opt %s -p "convert-graph-to-tile,cut-tiles{rows=1},round-weights{target=memcap-demo},choose-converter-ranges{target=memcap-demo},prove-lossless{target=memcap-demo}" | filecheck %s

// The first row's codes, 127 and 127, are 15 levels in the low slice and 14 in the high one: every
// sum is the input's code times that, and 127 codes fit. The second row's, 64 and 33, are 8 and 4
// levels in the high slice: sums of up to 254 units of 4 levels do not fit.
// CHECK-LABEL: func.func @main
// CHECK: lossless dense<[1, 0]> : tensor<2xi32>
func.func @main(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %w = graph.constant dense<[[1.0, 1.0], [0.5, 0.26]]> : tensor<2x2xf32> loc("fc")
  %0 = graph.linear(%x, %w) : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32> loc("fc")
  func.return %0 : tensor<1x2xf32>
}
