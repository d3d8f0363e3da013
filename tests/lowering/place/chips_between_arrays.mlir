// RUN: semc opt %s -p "cut-tiles{rows=128 weight_cols=32},place-tiles{target=memcap-demo on-overflow=chips},convert-tile-to-place{target=memcap-demo},check-placement,convert-place-to-analog" | filecheck %s

// Three matrices of 40 arrays on two chips: the second lies on both, and its product runs on the
// second, where 16 of its arrays are. Its input crosses, and the sums of 24 arrays.
// CHECK: chips 2
// CHECK: analog.controller "layer1"
// CHECK: analog.controller "layer3" {
// CHECK: analog.drive %{{[0-9]+}}, [[X:%[0-9]+]] tiles
// CHECK: analog.controller "layer4" {
// CHECK: analog.drive %{{[0-9]+}}, [[X]] tiles
// CHECK: analog.controller "layer7" {
// CHECK-NOT: analog.controller "layer8"
func.func @main(%x: tensor<1x1280xf32>) -> tensor<1x128xf32> {
  %a = tile.program <"a"> : !tile.crossbar<1x1280x128>
  %b = tile.program <"b"> : !tile.crossbar<1x128x1280>
  %c = tile.program <"c"> : !tile.crossbar<1x1280x128>
  %1 = tile.mvm %a, %x : (!tile.crossbar<1x1280x128>, tensor<1x1280xf32>) -> tensor<1x128xf32>
  %2 = tile.mvm %b, %1 : (!tile.crossbar<1x128x1280>, tensor<1x128xf32>) -> tensor<1x1280xf32>
  %3 = tile.mvm %c, %2 : (!tile.crossbar<1x1280x128>, tensor<1x1280xf32>) -> tensor<1x128xf32>
  func.return %3 : tensor<1x128xf32>
}
