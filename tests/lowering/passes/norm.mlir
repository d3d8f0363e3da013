// RUN: semc opt %s -p convert-graph-to-tile | filecheck %s

// CHECK-LABEL: func.func @layer
// CHECK-NEXT: %[[M:.*]] = tile.reduce(%x) kind = mean, axes = [1], keepdims = true :
// CHECK-NEXT: %[[Q:.*]] = tile.map(%x, %[[M]]) :
// CHECK: %[[C:.*]] = arith.subf
// CHECK-NEXT: arith.mulf %[[C]], %[[C]]
// CHECK: %[[V:.*]] = tile.reduce(%[[Q]]) kind = mean
// The root is taken once a row.
// CHECK-NEXT: %[[R:.*]] = tile.map(%[[V]]) : (tensor<2x1xf32>) -> tensor<2x1xf32>
// CHECK: arith.constant 1.000000e-05 : f32
// CHECK: math.sqrt
// CHECK: tile.map(%x, %[[M]], %[[R]], %s, %b) {value = "n"} :
// CHECK-NOT: math.sqrt
func.func @layer(%x: tensor<2x4xf32>, %s: tensor<4xf32>, %b: tensor<4xf32>) -> tensor<2x4xf32> {
  %0 = graph.norm(%x) scale %s : tensor<4xf32> bias %b : tensor<4xf32> axes [1] epsilon 1.0e-5 : f64 center true {value = "n"}
    : tensor<2x4xf32> -> tensor<2x4xf32>
  func.return %0 : tensor<2x4xf32>
}

// Root mean square: no mean is taken off.
// CHECK-LABEL: func.func @rms
// CHECK-NEXT: %[[Q:.*]] = tile.map(%x) :
// CHECK-NOT: arith.subf
// CHECK: tile.reduce(%[[Q]]) kind = mean, axes = [1]
// CHECK: tile.map(%x, %{{.*}}, %s) :
func.func @rms(%x: tensor<2x4xf32>, %s: tensor<4xf32>) -> tensor<2x4xf32> {
  %0 = graph.norm(%x) scale %s : tensor<4xf32> axes [1] epsilon 1.0e-6 : f64 center false
    : tensor<2x4xf32> -> tensor<2x4xf32>
  func.return %0 : tensor<2x4xf32>
}

// CHECK-LABEL: func.func @half
// CHECK: tile.map(%x) : (tensor<2x4xbf16>) -> tensor<2x4xf32>
// CHECK: kind = mean, {{.*}} -> tensor<2x1xf32>
// CHECK: arith.truncf %{{.*}} : f32 to bf16
func.func @half(%x: tensor<2x4xbf16>) -> tensor<2x4xbf16> {
  %0 = graph.norm(%x) axes [1] epsilon 1.0e-5 : f64 center true : tensor<2x4xbf16> -> tensor<2x4xbf16>
  func.return %0 : tensor<2x4xbf16>
}
