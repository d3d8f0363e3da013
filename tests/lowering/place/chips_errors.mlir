// RUN: semc opt %s --split-input-file --verify-diagnostics -p "cut-tiles{rows=128 weight_cols=32},place-tiles{target=memcap-demo on-overflow=chips}" | filecheck %s

// CHECK: a program can span 128 chips, this model needs 157 of memcap-demo
func.func @main(%x: tensor<1x12800xf32>) -> tensor<1x3200xf32> {
  %a = tile.program <"a"> : !tile.crossbar<1x12800x3200>
  %y = tile.mvm %a, %x : (!tile.crossbar<1x12800x3200>, tensor<1x12800xf32>) -> tensor<1x3200xf32>
  func.return %y : tensor<1x3200xf32>
}

// -----

// CHECK: the matrices of control flow, or of several products, must fit one chip of 64 arrays, these take 4,225
func.func @main(%x: tensor<1x4160xf32>) -> tensor<1x4160xf32> {
  %a = tile.program <"a"> : !tile.crossbar<1x4160x4160>
  %y = tile.loop (%x) max 3 : (tensor<1x4160xf32>) -> (tensor<1x4160xf32>) {
  ^bb0(%i: tensor<i64>, %c: tensor<1x4160xf32>):
    %1 = tile.mvm %a, %c : (!tile.crossbar<1x4160x4160>, tensor<1x4160xf32>) -> tensor<1x4160xf32>
    tile.yield %1 : tensor<1x4160xf32>
  }
  func.return %y : tensor<1x4160xf32>
}
