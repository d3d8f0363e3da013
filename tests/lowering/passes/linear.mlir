// RUN: semc opt %s -p convert-graph-to-tile | filecheck %s
// RUN: semc opt %s -p convert-graph-to-tile --print-debuginfo | filecheck %s --check-prefix=LOC

// Rows that are matrices already are driven as they are.
// CHECK-LABEL: func.func @plain
// CHECK-NEXT: %[[M:.*]] = tile.program <"fc.weight.matrix"> : !tile.crossbar<1x64x10>
// CHECK-NEXT: %[[Y:.*]] = tile.mvm %[[M]], %x {value = "y"} : (!tile.crossbar<1x64x10>, tensor<5x64xf32>) -> tensor<5x10xf32>
// CHECK-NEXT: func.return %[[Y]]
func.func @plain(%x: tensor<5x64xf32>) -> tensor<5x10xf32> {
  %w = graph.constant #graph.weight<"fc.weight"> : tensor<64x10xf32>
  %0 = graph.linear(%x, %w) {value = "y"} : (tensor<5x64xf32>, tensor<64x10xf32>) -> tensor<5x10xf32>
  func.return %0 : tensor<5x10xf32>
}

// Leading dims fold into rows and back; the bias is a map, and the last op has the value's name.
// CHECK-LABEL: func.func @leading
// CHECK-NEXT: %b = graph.constant #graph.weight<"fc.bias"> : tensor<10xf32>
// CHECK-NEXT: %[[X:.*]] = tile.view(%x) strides = [64, 1] : (tensor<2x3x64xf32>) -> tensor<6x64xf32>
// CHECK-NEXT: %[[M:.*]] = tile.program
// CHECK-NEXT: %[[Y:.*]] = tile.mvm %[[M]], %[[X]] : ({{.*}}) -> tensor<6x10xf32>
// CHECK-NEXT: %[[V:.*]] = tile.view(%[[Y]]) strides = [30, 10, 1] : (tensor<6x10xf32>) -> tensor<2x3x10xf32>
// CHECK-NEXT: tile.map(%[[V]], %b) {value = "y"} : (tensor<2x3x10xf32>, tensor<10xf32>) -> tensor<2x3x10xf32> {
// CHECK: arith.addf
// LOC-LABEL: func.func @leading
// LOC: tile.program {{.*}} loc("encoder/fc")
// LOC: tile.mvm {{.*}} loc("encoder/fc")
func.func @leading(%x: tensor<2x3x64xf32>) -> tensor<2x3x10xf32> {
  %w = graph.constant #graph.weight<"fc.weight"> : tensor<64x10xf32>
  %b = graph.constant #graph.weight<"fc.bias"> : tensor<10xf32>
  %0 = graph.linear(%x, %w, %b) {value = "y"}
    : (tensor<2x3x64xf32>, tensor<64x10xf32>, tensor<10xf32>) -> tensor<2x3x10xf32> loc("encoder/fc")
  func.return %0 : tensor<2x3x10xf32>
}

// A vector is one row.
// CHECK-LABEL: func.func @vector
// CHECK: tile.view(%x) strides = [64, 1] : (tensor<64xf32>) -> tensor<1x64xf32>
// CHECK: tile.mvm
// CHECK: tile.view(%{{.*}}) strides = [1] : (tensor<1x10xf32>) -> tensor<10xf32>
func.func @vector(%x: tensor<64xf32>) -> tensor<10xf32> {
  %w = graph.constant #graph.weight<"fc.weight"> : tensor<64x10xf32>
  %0 = graph.linear(%x, %w) : (tensor<64xf32>, tensor<64x10xf32>) -> tensor<10xf32>
  func.return %0 : tensor<10xf32>
}

// Arrays hold real numbers; integers are exact on the vector engine only.
// CHECK-LABEL: func.func @integers
// CHECK-NEXT: %w = graph.constant
// CHECK-NEXT: tile.contract(%x, %w) : (tensor<5x64xi32>, tensor<64x10xi32>) -> tensor<5x10xi32>
// CHECK-NOT: tile.program
func.func @integers(%x: tensor<5x64xi32>) -> tensor<5x10xi32> {
  %w = graph.constant #graph.weight<"fc.weight"> : tensor<64x10xi32>
  %0 = graph.linear(%x, %w) : (tensor<5x64xi32>, tensor<64x10xi32>) -> tensor<5x10xi32>
  func.return %0 : tensor<5x10xi32>
}

// There is no array of no rows.
// CHECK-LABEL: func.func @empty
// CHECK: tile.contract
func.func @empty(%x: tensor<5x0xf32>) -> tensor<5x10xf32> {
  %w = graph.constant #graph.weight<"none"> : tensor<0x10xf32>
  %0 = graph.linear(%x, %w) : (tensor<5x0xf32>, tensor<0x10xf32>) -> tensor<5x10xf32>
  func.return %0 : tensor<5x10xf32>
}
