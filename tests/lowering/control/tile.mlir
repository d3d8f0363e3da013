// RUN: semc opt %s -p "convert-graph-to-tile" | filecheck %s

// A matrix of a loop's body is programmed once, before the loop, and serves both loops.
// CHECK-LABEL: func.func @shared
// CHECK: %[[M:.*]] = tile.program <"w.matrix"> : !tile.crossbar<1x4x4>
// CHECK-NEXT: tile.loop (%x) max 3
// CHECK: tile.mvm %[[M]]
// CHECK: tile.yield
// CHECK: tile.if
// CHECK: tile.mvm %[[M]]
// CHECK-NOT: tile.program
func.func @shared(%x: tensor<1x4xf32>, %c: tensor<i1>) -> tensor<1x4xf32> {
  %w = graph.constant #graph.weight<"w"> : tensor<4x4xf32>
  %y = graph.loop (%x) max 3 : (tensor<1x4xf32>) -> (tensor<1x4xf32>) {
  ^bb0(%i: tensor<i64>, %s: tensor<1x4xf32>):
    %t = graph.linear(%s, %w) : (tensor<1x4xf32>, tensor<4x4xf32>) -> tensor<1x4xf32>
    graph.yield %t : tensor<1x4xf32>
  }
  %z = graph.if %c : -> (tensor<1x4xf32>) {
    %t = graph.linear(%y, %w) : (tensor<1x4xf32>, tensor<4x4xf32>) -> tensor<1x4xf32>
    graph.yield %t : tensor<1x4xf32>
  } {
    graph.yield %y : tensor<1x4xf32>
  }
  func.return %z : tensor<1x4xf32>
}

// The main graph's own use comes later: the matrix moves in front of the loop.
// CHECK-LABEL: func.func @moved
// CHECK: %[[M:.*]] = tile.program
// CHECK-NEXT: tile.loop
// CHECK: tile.mvm %[[M]]
// CHECK: tile.yield
// CHECK-NOT: tile.program
// CHECK: tile.mvm %[[M]]
func.func @moved(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %w = graph.constant #graph.weight<"w"> : tensor<4x4xf32>
  %y = graph.loop (%x) max 3 : (tensor<1x4xf32>) -> (tensor<1x4xf32>) {
  ^bb0(%i: tensor<i64>, %s: tensor<1x4xf32>):
    %t = graph.linear(%s, %w) : (tensor<1x4xf32>, tensor<4x4xf32>) -> tensor<1x4xf32>
    graph.yield %t : tensor<1x4xf32>
  }
  %z = graph.linear(%y, %w) : (tensor<1x4xf32>, tensor<4x4xf32>) -> tensor<1x4xf32>
  func.return %z : tensor<1x4xf32>
}
