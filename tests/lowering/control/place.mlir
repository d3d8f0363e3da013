// RUN: semc opt %s -p "convert-tile-to-place{target=memcap-demo},check-placement" | filecheck %s

// What a loop carries has one buffer. The stack is updated where it is, the sum is written over the
// old one, which nothing reads any more; only the two that trade places need copies.
// CHECK: %[[X:.*]] = place.buffer "host" at {{.*}} port "input:x"
// CHECK: %[[STACK:.*]] = place.buffer "sram" at {{.*}} : !place.buffer<tensor<3x2xf32>>
// CHECK: %[[NEAR:.*]] = place.buffer "sram" {{.*}}tensor<2xf32>>
// CHECK: %[[S:.*]] = place.buffer "sram" {{.*}}tensor<2xf32>>
// CHECK: %[[A:.*]] = place.buffer "sram" {{.*}}tensor<2xf32>>
// CHECK: %[[B:.*]] = place.buffer "sram" {{.*}}tensor<2xf32>>
// CHECK: %[[I:.*]] = place.buffer "sram" {{.*}}tensor<i64>>
// CHECK: %[[SUM:.*]] = place.alias %[[S]] at 0
// CHECK: %[[NEW:.*]] = place.alias %[[STACK]] at 0
// CHECK: place.move %[[X]] -> %[[NEAR]] slot 1
// CHECK: place.loop index %[[I]] : !place.buffer<tensor<i64>> max 3 slot 5 {
// CHECK: place.stage "vector" slot 6 (%[[S]], %[[NEAR]]) -> (%[[SUM]])
// CHECK: place.stage "vector" slot 7 (%[[STACK]], %[[I]], %[[SUM]]) -> (%[[NEW]])
// CHECK: place.move %[[B]] -> %[[KEEP_B:.*]] slot 8
// CHECK: place.move %[[A]] -> %[[KEEP_A:.*]] slot 9
// CHECK: place.move %[[KEEP_B]] -> %[[A]] slot 10
// CHECK: place.move %[[KEEP_A]] -> %[[B]] slot 11
// CHECK-NEXT: }
func.func @main(%x: tensor<2xf32>, %p: tensor<2xf32>, %q: tensor<2xf32>) -> tensor<3x2xf32> attributes {input_names = ["x", "p", "q"], output_names = ["y"]} {
  %rows = tile.map() : () -> tensor<3x2xf32> {
    %zero = arith.constant 0.000000e+00 : f32
    tile.yield %zero : f32
  }
  %s1, %a1, %b1, %r1 = tile.loop (%x, %p, %q, %rows) max 3 : (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>) -> (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>) {
  ^bb0(%i: tensor<i64>, %s: tensor<2xf32>, %a: tensor<2xf32>, %b: tensor<2xf32>, %r: tensor<3x2xf32>):
    %t = tile.map(%s, %x) : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32> {
    ^bb1(%u: f32, %v: f32):
      %w = arith.addf %u, %v : f32
      tile.yield %w : f32
    }
    %n = tile.update(%r, %i, %t) : (tensor<3x2xf32>, tensor<i64>, tensor<2xf32>) -> tensor<3x2xf32>
    tile.yield %t, %b, %a, %n : tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<3x2xf32>
  }
  func.return %r1 : tensor<3x2xf32>
}
