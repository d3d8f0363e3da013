// RUN: semc opt %s --print-debuginfo | semc opt - --print-debuginfo | filecheck %s

// Locations name ONNX nodes and survive the text once each.
// CHECK: tile.map(%x) : (tensor<4xf32>) -> tensor<4xf32> {
// CHECK: } loc("node_relu")
func.func @main(%x: tensor<4xf32>) -> tensor<4xf32> {
  %y = tile.map(%x) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    %zero = arith.constant 0.0 : f32
    %b = arith.maximumf %a, %zero : f32
    tile.yield %b : f32
  } loc("node_relu")
  func.return %y : tensor<4xf32>
}
