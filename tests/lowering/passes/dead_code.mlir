// RUN: semc opt %s -p dce | filecheck %s
// RUN: semc opt %s -p cse | filecheck %s --check-prefix=CSE

// Programming a crossbar is an effect and the host may have some; everything else goes unused.
// CHECK-LABEL: func.func @unused
// CHECK-NEXT: tile.program <"w">
// CHECK-NEXT: tile.host(%x)
// CHECK-NEXT: func.return
func.func @unused(%x: tensor<1x2xf32>) {
  %0 = tile.program <"w"> : !tile.crossbar<1x2x3>
  %1 = tile.mvm %0, %x : (!tile.crossbar<1x2x3>, tensor<1x2xf32>) -> tensor<1x3xf32>
  %2 = tile.view(%1) strides = [1] : (tensor<1x3xf32>) -> tensor<3xf32>
  %3 = graph.constant #graph.weight<"c"> : tensor<3xf32>
  %4 = tile.host(%x) model = dense<1> : tensor<1xi8> : (tensor<1x2xf32>) -> tensor<1x2xf32>
  func.return
}

// Equal views are one; a matrix written twice is two.
// CSE-LABEL: func.func @equal
// CSE-COUNT-2: tile.program <"w">
// CSE: %[[V:.*]] = tile.view(%x)
// CSE-NOT: tile.view
// CSE: tile.concat(%[[V]], %[[V]])
func.func @equal(%x: tensor<1x2xf32>) -> tensor<4xf32> {
  %0 = tile.program <"w"> : !tile.crossbar<1x2x3>
  %1 = tile.program <"w"> : !tile.crossbar<1x2x3>
  %2 = tile.view(%x) strides = [1] : (tensor<1x2xf32>) -> tensor<2xf32>
  %3 = tile.view(%x) strides = [1] : (tensor<1x2xf32>) -> tensor<2xf32>
  %4 = tile.concat(%2, %3) axis = 0 : (tensor<2xf32>, tensor<2xf32>) -> tensor<4xf32>
  func.return %4 : tensor<4xf32>
}
