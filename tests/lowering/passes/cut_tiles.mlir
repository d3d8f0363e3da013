// RUN: semc opt %s -p "cut-tiles{rows=4 weight-cols=3}" | filecheck %s
// RUN: semc opt %s -p "cut-tiles{rows=128 weight-cols=32}" | filecheck %s --check-prefix=WHOLE
// RUN: semc opt %s -p "cut-tiles{rows=4 weight-cols=3},cut-tiles{rows=128 weight-cols=32}" | filecheck %s --check-prefix=WHOLE
// RUN: not semc opt %s -p "cut-tiles{rows=0}" 2>&1 | filecheck %s --check-prefix=BAD

// BAD: error: an array must have rows and columns, not 0 x 32
// Columns are group, row, rows, col, cols: row blocks, then column blocks, the ragged ones last.
// CHECK-LABEL: func.func @ragged
// CHECK: tiles dense<{{\[\[}}0, 0, 4, 0, 3], [0, 0, 4, 3, 2], [0, 4, 2, 0, 3], [0, 4, 2, 3, 2]]> : tensor<4x5xi32>
// WHOLE-LABEL: func.func @ragged
// WHOLE: tiles dense<{{\[\[}}0, 0, 6, 0, 5]]> : tensor<1x5xi32>
func.func @ragged(%x: tensor<1x6xf32>) -> tensor<1x5xf32> {
  %0 = tile.program <"w"> : !tile.crossbar<1x6x5>
  %1 = tile.mvm %0, %x : (!tile.crossbar<1x6x5>, tensor<1x6xf32>) -> tensor<1x5xf32>
  func.return %1 : tensor<1x5xf32>
}

// The blocks of a diagonal are tiles of their own.
// CHECK-LABEL: func.func @groups
// CHECK: tiles dense<{{\[\[}}0, 0, 4, 0, 2], [1, 0, 4, 0, 2], [2, 0, 4, 0, 2]]> : tensor<3x5xi32>
func.func @groups() {
  %0 = tile.program <"g"> : !tile.crossbar<3x4x2>
  func.return
}

// A large table is printed as one packed string.
// CHECK-LABEL: func.func @large
// CHECK: tiles dense<"0x{{[0-9A-F]+}}"> : tensor<112x5xi32>
func.func @large() {
  %0 = tile.program <"l"> : !tile.crossbar<1x28x46>
  func.return
}
