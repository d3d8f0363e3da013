// RUN: semc opt %s -p "cut-tiles{rows=128 weight_cols=32},place-tiles{target=memcap-demo on-overflow=chips}" | filecheck %s

// The first and the last product drive one matrix; each of their chips gets it.
// CHECK: [[A:%.*]] = tile.program <"a">
// CHECK: [[AGAIN:%.*]] = tile.program <"a">
// CHECK: [[B:%.*]] = tile.program <"b">
// CHECK: tile.mvm [[A]], {{.*}} {chip = 0 : i64}
// CHECK: tile.mvm [[B]], {{.*}} {chip = 1 : i64}
// CHECK: tile.mvm [[AGAIN]], {{.*}} {chip = 2 : i64}
func.func @main(%x: tensor<1x1280xf32>) -> tensor<1x128xf32> {
  %a = tile.program <"a"> : !tile.crossbar<1x1280x128>
  %b = tile.program <"b"> : !tile.crossbar<1x128x1280>
  %1 = tile.mvm %a, %x : (!tile.crossbar<1x1280x128>, tensor<1x1280xf32>) -> tensor<1x128xf32>
  %2 = tile.mvm %b, %1 : (!tile.crossbar<1x128x1280>, tensor<1x128xf32>) -> tensor<1x1280xf32>
  %3 = tile.mvm %a, %2 : (!tile.crossbar<1x1280x128>, tensor<1x1280xf32>) -> tensor<1x128xf32>
  func.return %3 : tensor<1x128xf32>
}
