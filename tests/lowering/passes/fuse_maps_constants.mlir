// RUN: semc opt %s -p fuse-maps | filecheck %s

// One element is a constant of the body, whatever its rank; the result keeps the rank.
// CHECK-LABEL: func.func @scalar
// CHECK-NEXT: tile.map(%x) : (tensor<4xf32>) -> tensor<1x4xf32> {
// CHECK-NEXT: ^bb0(%[[A:.*]]: f32):
// CHECK-NEXT: %[[C:.*]] = arith.constant 2.500000e+00 : f32
// CHECK-NEXT: arith.mulf %[[A]], %[[C]] : f32
func.func @scalar(%x: tensor<4xf32>) -> tensor<1x4xf32> {
  %c = graph.constant dense<2.5> : tensor<1x1xf32>
  %0 = tile.map(%x, %c) : (tensor<4xf32>, tensor<1x1xf32>) -> tensor<1x4xf32> {
  ^bb0(%a: f32, %b: f32):
    %m = arith.mulf %a, %b : f32
    tile.yield %m : f32
  }
  func.return %0 : tensor<1x4xf32>
}

// arith has signless integers only, so that an unsigned constant is a cast of one.
// CHECK-LABEL: func.func @unsigned
// CHECK: %[[C:.*]] = arith.constant -56 : i8
// CHECK-NEXT: builtin.unrealized_conversion_cast %[[C]] : i8 to ui8
func.func @unsigned(%x: tensor<4xui8>) -> tensor<4xui8> {
  %c = graph.constant dense<200> : tensor<ui8>
  %0 = tile.map(%x, %c) : (tensor<4xui8>, tensor<ui8>) -> tensor<4xui8> {
  ^bb0(%a: ui8, %b: ui8):
    %i = builtin.unrealized_conversion_cast %a : ui8 to i8
    %j = builtin.unrealized_conversion_cast %b : ui8 to i8
    %m = arith.minui %i, %j : i8
    %r = builtin.unrealized_conversion_cast %m : i8 to ui8
    tile.yield %r : ui8
  }
  func.return %0 : tensor<4xui8>
}

// CHECK-LABEL: func.func @boolean
// CHECK: arith.constant true
func.func @boolean(%x: tensor<4xi1>) -> tensor<4xi1> {
  %c = graph.constant dense<true> : tensor<i1>
  %0 = tile.map(%x, %c) : (tensor<4xi1>, tensor<i1>) -> tensor<4xi1> {
  ^bb0(%a: i1, %b: i1):
    %m = arith.xori %a, %b : i1
    tile.yield %m : i1
  }
  func.return %0 : tensor<4xi1>
}

// A stored array whose bytes are not there stays an operand.
// CHECK-LABEL: func.func @absent
// CHECK: tile.map(%x, %c)
func.func @absent(%x: tensor<4xf32>) -> tensor<4xf32> {
  %c = graph.constant #graph.weight<"gain"> : tensor<f32>
  %0 = tile.map(%x, %c) : (tensor<4xf32>, tensor<f32>) -> tensor<4xf32> {
  ^bb0(%a: f32, %b: f32):
    %m = arith.mulf %a, %b : f32
    tile.yield %m : f32
  }
  func.return %0 : tensor<4xf32>
}

// Equal operands are one.
// CHECK-LABEL: func.func @same_operand
// CHECK-NEXT: tile.map(%x) : (tensor<4xf32>)
// CHECK: arith.mulf %[[A:.*]], %[[A]] : f32
func.func @same_operand(%x: tensor<4xf32>) -> tensor<4xf32> {
  %0 = tile.map(%x, %x) : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32> {
  ^bb0(%a: f32, %b: f32):
    %m = arith.mulf %a, %b : f32
    tile.yield %m : f32
  }
  func.return %0 : tensor<4xf32>
}

// All operands constant: the map only fills.
// CHECK-LABEL: func.func @fill
// CHECK-NEXT: tile.map() : () -> tensor<4xf32>
func.func @fill() -> tensor<4xf32> {
  %c = graph.constant dense<3.0> : tensor<f32>
  %0 = tile.map(%c) : (tensor<f32>) -> tensor<4xf32> {
  ^bb0(%a: f32):
    %m = math.exp %a : f32
    tile.yield %m : f32
  }
  func.return %0 : tensor<4xf32>
}
