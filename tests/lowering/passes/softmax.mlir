// RUN: semc opt %s -p convert-graph-to-tile | filecheck %s

// CHECK-LABEL: func.func @softmax
// CHECK-NEXT: %[[M:.*]] = tile.reduce(%x) kind = max, axes = [1], keepdims = true : (tensor<2x4xf32>) -> tensor<2x1xf32>
// CHECK-NEXT: %[[E:.*]] = tile.map(%x, %[[M]]) :
// CHECK: arith.subf
// CHECK-NEXT: math.exp
// CHECK: %[[S:.*]] = tile.reduce(%[[E]]) kind = sum, axes = [1], keepdims = true :
// CHECK-NEXT: tile.map(%[[E]], %[[S]]) {value = "p"} :
// CHECK: arith.divf
func.func @softmax(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %0 = graph.softmax %x axis 1 {value = "p"} : tensor<2x4xf32> -> tensor<2x4xf32>
  func.return %0 : tensor<2x4xf32>
}

// The logarithm never divides, so that small probabilities keep their digits.
// CHECK-LABEL: func.func @log_softmax
// CHECK: math.exp
// CHECK: kind = sum
// CHECK: math.log
// CHECK-NOT: arith.divf
// CHECK: func.return
func.func @log_softmax(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %0 = graph.softmax %x axis 0 log : tensor<2x4xf32> -> tensor<2x4xf32>
  func.return %0 : tensor<2x4xf32>
}

// Half precision stays half, step by step, as ONNX's function body says.
// CHECK-LABEL: func.func @half
// CHECK: tile.reduce(%x) kind = max, {{.*}} -> tensor<2x1xf16>
// CHECK: math.exp %{{.*}} : f16
// CHECK: kind = sum, {{.*}} -> tensor<2x1xf16>
// CHECK: arith.divf %{{.*}}, %{{.*}} : f16
// CHECK-NOT: f32
func.func @half(%x: tensor<2x4xf16>) -> tensor<2x4xf16> {
  %0 = graph.softmax %x axis 1 : tensor<2x4xf16> -> tensor<2x4xf16>
  func.return %0 : tensor<2x4xf16>
}
