// RUN: semc opt %s -p fuse-maps | filecheck %s
// RUN: semc opt %s -p fuse-maps --print-debuginfo | filecheck %s --check-prefix=LOC

// A chain is one map with one body; the last value keeps its name.
// CHECK-LABEL: func.func @chain
// CHECK-NEXT: %[[R:.*]] = tile.map(%x, %y) {value = "z"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32, %[[B:.*]]: f32):
// CHECK-NEXT: %[[S:.*]] = arith.addf %[[A]], %[[B]]
// CHECK-NEXT: %[[E:.*]] = math.exp %[[S]]
// CHECK-NEXT: %[[T:.*]] = math.tanh %[[E]]
// CHECK-NEXT: tile.yield %[[T]] : f32
// CHECK-NEXT: }
// CHECK-NEXT: func.return %[[R]]
// LOC-LABEL: func.func @chain
// LOC: } loc(fused["add", "exp", "tanh"])
func.func @chain(%x: tensor<4xf32>, %y: tensor<4xf32>) -> tensor<4xf32> {
  %0 = tile.map(%x, %y) {value = "s"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32, %b: f32):
    %c = arith.addf %a, %b : f32
    tile.yield %c : f32
  } loc("add")
  %1 = tile.map(%0) {value = "e"} : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    %c = math.exp %a : f32
    tile.yield %c : f32
  } loc("exp")
  %2 = tile.map(%1) {value = "z"} : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    %c = math.tanh %a : f32
    tile.yield %c : f32
  } loc("tanh")
  func.return %2 : tensor<4xf32>
}

// What two ops use is computed once.
// CHECK-LABEL: func.func @two_uses
// CHECK-COUNT-3: tile.map
func.func @two_uses(%x: tensor<4xf32>) -> (tensor<4xf32>, tensor<4xf32>) {
  %0 = tile.map(%x) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    %c = math.exp %a : f32
    tile.yield %c : f32
  }
  %1 = tile.map(%0) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    %c = math.tanh %a : f32
    tile.yield %c : f32
  }
  %2 = tile.map(%0) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    %c = math.sin %a : f32
    tile.yield %c : f32
  }
  func.return %1, %2 : tensor<4xf32>, tensor<4xf32>
}

// Twice by the same map is one use: x^2 of the exponential.
// CHECK-LABEL: func.func @squared
// CHECK-NEXT: tile.map(%x) :
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: %[[E:.*]] = math.exp %[[A]]
// CHECK-NEXT: arith.mulf %[[E]], %[[E]]
func.func @squared(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = tile.map(%x) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    %c = math.exp %a : f32
    tile.yield %c : f32
  }
  %1 = tile.map(%0, %0) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32, %b: f32):
    %c = arith.mulf %a, %b : f32
    tile.yield %c : f32
  }
  func.return %1 : tensor<4xf32>
}

// A row that is spread over many would be computed once for each of them.
// CHECK-LABEL: func.func @broadcast
// CHECK-COUNT-2: tile.map
func.func @broadcast(%x: tensor<8x4xf32>, %row: tensor<4xf32>) -> tensor<8x4xf32> {
  %0 = tile.map(%row) : (tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    %c = math.exp %a : f32
    tile.yield %c : f32
  }
  %1 = tile.map(%x, %0) : (tensor<8x4xf32>, tensor<4xf32>) -> tensor<8x4xf32> {
  ^bb0(%a: f32, %b: f32):
    %c = arith.mulf %a, %b : f32
    tile.yield %c : f32
  }
  func.return %1 : tensor<8x4xf32>
}

// Dims of one in front spread nothing, and an operand that broadcasts does so in the fused map.
// CHECK-LABEL: func.func @leading_one
// CHECK-NEXT: tile.map(%x, %row) : (tensor<8x4xf32>, tensor<4xf32>) -> tensor<1x8x4xf32>
func.func @leading_one(%x: tensor<8x4xf32>, %row: tensor<4xf32>) -> tensor<1x8x4xf32> {
  %0 = tile.map(%x, %row) : (tensor<8x4xf32>, tensor<4xf32>) -> tensor<8x4xf32> {
  ^bb0(%a: f32, %b: f32):
    %c = arith.mulf %a, %b : f32
    tile.yield %c : f32
  }
  %1 = tile.map(%0) : (tensor<8x4xf32>) -> tensor<1x8x4xf32> {
  ^bb0(%a: f32):
    %c = math.exp %a : f32
    tile.yield %c : f32
  }
  func.return %1 : tensor<1x8x4xf32>
}
