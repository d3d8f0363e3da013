// RUN: semc opt %s --split-input-file --verify-diagnostics -p "cut-tiles{rows=128 weight_cols=32},place-tiles{target=memcap-demo}" | filecheck %s

// CHECK: the model needs 65 arrays (5 layers) for 266,240 parameters; memcap-demo has 64 arrays (4 layers) for at most 262,144
// CHECK-SAME: use a target with stack.layers = 5; or write 2 arrays anew in each inference (--on-overflow reload), which takes up to 0.00256 s; or split the model over 2 chips
func.func @main(%x: tensor<1x8320xf32>) -> tensor<1x32xf32> {
  %a = tile.program <"a"> : !tile.crossbar<1x8320x32>
  %y = tile.mvm %a, %x : (!tile.crossbar<1x8320x32>, tensor<1x8320xf32>) -> tensor<1x32xf32>
  func.return %y : tensor<1x32xf32>
}

// -----

// CHECK: take matrices out of control flow: those in it cannot be written while running
func.func @in_a_loop(%x: tensor<1x4160xf32>) -> tensor<1x4160xf32> {
  %a = tile.program <"a"> : !tile.crossbar<1x4160x4160>
  %y = tile.loop (%x) max 3 : (tensor<1x4160xf32>) -> (tensor<1x4160xf32>) {
  ^bb0(%i: tensor<i64>, %c: tensor<1x4160xf32>):
    %1 = tile.mvm %a, %c : (!tile.crossbar<1x4160x4160>, tensor<1x4160xf32>) -> tensor<1x4160xf32>
    tile.yield %1 : tensor<1x4160xf32>
  }
  func.return %y : tensor<1x4160xf32>
}
