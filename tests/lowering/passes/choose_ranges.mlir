// Each pass of quantisation by itself, without samples.
// RUN: semc opt %s -p "choose-input-ranges{target=memcap-demo method=minmax}" | filecheck %s --check-prefix=INPUT
// RUN: semc opt %s -p "round-weights{target=memcap-demo}" | filecheck %s --check-prefix=CODES
// RUN: semc opt %s -p "convert-graph-to-tile,cut-tiles,round-weights{target=memcap-demo method=compensated},choose-converter-ranges{target=memcap-demo method=percentile percentile=99.5}" | filecheck %s --check-prefix=RANGE
// RUN: semc opt %s -p "convert-graph-to-tile,cut-tiles,choose-converter-ranges{target=memcap-demo}" | filecheck %s --check-prefix=NONE
// RUN: not semc opt %s -p "choose-input-ranges{target=memcap-demo method=statistics}" 2>&1 | filecheck %s --check-prefix=NEEDS
// RUN: not semc opt %s -p "choose-converter-ranges{target=memcap-demo method=mse percentile=99.0}" 2>&1 | filecheck %s --check-prefix=SHARE
// RUN: not semc opt %s -p "choose-converter-ranges{target=memcap-demo method=percentile percentile=101.0}" 2>&1 | filecheck %s --check-prefix=OVER
// RUN: not semc opt %s -p "round-weights{target=memcap-demo method=up}" 2>&1 | filecheck %s --check-prefix=ROUND

// NEEDS: error: an input's range needs samples: method mse, minmax or percentile
// SHARE: error: only the method percentile takes a share, not mse
// OVER: error: a percentile must lie above 0 and up to 100, came 101
// ROUND: error: weights are rounded nearest or compensated, came 'up'

// Without samples the chip finds the range of each input while running.
// INPUT-LABEL: func.func @main
// INPUT-NOT: input_scale
// A matrix that is no tile.program yet has no codes.
// CODES-LABEL: func.func @main
// CODES-NOT: codes
// Without samples weights are rounded to the nearest, and ranges follow from the codes.
// RANGE-LABEL: func.func @main
// RANGE: tile.program <"fc.matrix"> codes <"fc.matrix.codes"> scale <"fc.matrix.scale"> adc_range dense<{{.*}}> : tensor<1xf32> tiles
// Without codes there is nothing to choose a range for.
// NONE-LABEL: func.func @main
// NONE: tile.program <"fc.matrix"> tiles
func.func @main(%x: tensor<1x2xf32>) -> tensor<1x3xf32> {
  %w = graph.constant dense<[[1.0, -2.0, 0.0], [0.5, 0.25, 0.0]]> : tensor<2x3xf32> loc("fc")
  %0 = graph.linear(%x, %w) : (tensor<1x2xf32>, tensor<2x3xf32>) -> tensor<1x3xf32> loc("fc")
  func.return %0 : tensor<1x3xf32>
}
