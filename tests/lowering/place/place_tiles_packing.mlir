// RUN: semc opt %s -p "place-tiles{target=memcap-demo}" | filecheck %s --check-prefix=AUTO
// RUN: semc opt %s -p "place-tiles{target=memcap-demo packing=dense}" | filecheck %s --check-prefix=DENSE
// RUN: semc opt %s -p "place-tiles{target=memcap-demo packing=exclusive}" | filecheck %s --check-prefix=EXCLUSIVE
// RUN: not semc opt %s -p "place-tiles{target=memcap-demo packing=loose}"

// A depthwise convolution: four groups of nine taps, read at 100 positions. In four arrays they are
// read at once by four sets of converters; on a diagonal they are read in one round; packed densely
// they share rows and are read one after another.
// AUTO-LABEL: func.func @main
// AUTO: sites = dense<{{\[\[}}0, 2, 1, 0, 0], [0, 2, 2, 0, 0], [0, 2, 3, 0, 0], [0, 1, 2, 0, 0]]>
// DENSE-LABEL: func.func @main
// DENSE: sites = dense<{{\[\[}}0, 2, 2, 0, 0], [0, 2, 2, 0, 1], [0, 2, 2, 0, 2], [0, 2, 2, 0, 3]]>
// EXCLUSIVE-LABEL: func.func @main
// EXCLUSIVE: sites = dense<{{\[\[}}0, 2, 2, 0, 0], [0, 2, 2, 9, 1], [0, 2, 2, 18, 2], [0, 2, 2, 27, 3]]>
func.func @main(%x: tensor<4x100x9xf32>) -> tensor<4x100x1xf32> {
  %m = tile.program <"dw"> tiles dense<[[0, 0, 9, 0, 1], [1, 0, 9, 0, 1], [2, 0, 9, 0, 1], [3, 0, 9, 0, 1]]> : tensor<4x5xi32> : !tile.crossbar<4x9x1>
  %y = tile.mvm %m, %x : (!tile.crossbar<4x9x1>, tensor<4x100x9xf32>) -> tensor<4x100x1xf32>
  func.return %y : tensor<4x100x1xf32>
}
