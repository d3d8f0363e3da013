// RUN: semc opt %s -p convert-graph-to-tile,fuse-maps | filecheck %s

// The bias of a convolution, the residual and the rectifier are one pass over the result.
// CHECK-LABEL: func.func @residual
// CHECK: tile.mvm
// CHECK-NEXT: %[[V:.*]] = tile.view
// CHECK: %[[R:.*]] = tile.map(%{{.*}}) {value = "out"} :
// CHECK: arith.addf
// CHECK: arith.addf
// CHECK: arith.maximumf
// CHECK-NOT: tile.map
func.func @residual(%x: tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  %w = graph.constant #graph.weight<"w"> : tensor<4x4x3x3xf32>
  %b = graph.constant #graph.weight<"b"> : tensor<4xf32>
  %z = graph.constant dense<0.0> : tensor<f32>
  %0 = graph.conv(%x, %w, %b) strides [1, 1] dilations [1, 1] low [1, 1] high [1, 1] groups 1
    : (tensor<1x4x8x8xf32>, tensor<4x4x3x3xf32>, tensor<4xf32>) -> tensor<1x4x8x8xf32>
  %1 = graph.map(%0, %x) : (tensor<1x4x8x8xf32>, tensor<1x4x8x8xf32>) -> tensor<1x4x8x8xf32> {
  ^bb0(%a: f32, %c: f32):
    %s = arith.addf %a, %c : f32
    graph.yield %s : f32
  }
  %2 = graph.map(%1, %z) {value = "out"} : (tensor<1x4x8x8xf32>, tensor<f32>) -> tensor<1x4x8x8xf32> {
  ^bb0(%a: f32, %c: f32):
    %s = arith.maximumf %a, %c : f32
    graph.yield %s : f32
  }
  func.return %2 : tensor<1x4x8x8xf32>
}
