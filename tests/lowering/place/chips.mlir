// RUN: semc opt %s -p "cut-tiles{rows=128 weight_cols=32},place-tiles{target=memcap-demo on-overflow=chips}" | filecheck %s
// RUN: semc opt %s -p "cut-tiles{rows=128 weight_cols=32},place-tiles{target=memcap-demo on-overflow=chips},convert-tile-to-place{target=memcap-demo},check-placement" | filecheck %s --check-prefix=PLACE
// RUN: semc opt %s -p "cut-tiles{rows=128 weight_cols=32},place-tiles{target=memcap-demo on-overflow=chips},convert-tile-to-place{target=memcap-demo},check-placement,convert-place-to-analog" | filecheck %s --check-prefix=ANALOG

// Three matrices of 60 arrays: one a chip. The cuts are where values are narrow: what makes them
// wide runs behind the cut.
// CHECK: builtin.module attributes {chips = 3 : i64}
// CHECK: tile.mvm {{.*}} {chip = 0 : i64}
// CHECK: tile.view{{.*}} {chip = 1 : i64}
// CHECK: tile.mvm {{.*}} {chip = 1 : i64}
// CHECK: tile.view{{.*}} {chip = 2 : i64}
// CHECK: tile.mvm {{.*}} {chip = 2 : i64}

// PLACE: place.machine "memcap-demo" machine "memcap" grid [12, 4, 4] active 1 array [128, 32] chips 3 memories {sram = 1048576 : i64, chip1.sram = 1048576 : i64, chip2.sram = 1048576 : i64, host = 1099511627776 : i64}
// PLACE: [[NARROW:%.*]] = place.buffer "sram" {{.*}}<tensor<1x128xf32>
// PLACE: [[THERE:%.*]] = place.buffer "chip1.sram" {{.*}}<tensor<1x128xf32>
// PLACE: [[WIDE:%.*]] = place.buffer "chip1.sram" {{.*}}<tensor<1x1920xf32>
// PLACE: place.mvm {{.*}} -> [[NARROW]] slot 1
// PLACE: place.move [[NARROW]] -> [[THERE]] slot 2
// PLACE: place.stage "chip1.vector" slot 3 ([[THERE]]) -> ([[WIDE]])
// PLACE: place.mvm {{.*}}, [[WIDE]] -> {{.*}} slot 4

// The vias of a chip count from its own base die; controllers of layers count through.
// ANALOG: analog.controller "layer0"
// ANALOG: analog.controller "layer4"
// ANALOG: analog.controller "layer8"
// ANALOG: analog.controller "chip1.vector"
// ANALOG: analog.controller "chip1.dma"
// ANALOG: analog.controller "chip2.dma"
func.func @main(%x: tensor<1x1920xf32>) -> tensor<1x128xf32> {
  %a = tile.program <"a"> : !tile.crossbar<1x1920x128>
  %b = tile.program <"b"> : !tile.crossbar<1x1920x128>
  %c = tile.program <"c"> : !tile.crossbar<1x1920x128>
  %1 = tile.mvm %a, %x : (!tile.crossbar<1x1920x128>, tensor<1x1920xf32>) -> tensor<1x128xf32>
  %2 = tile.view(%1) strides = [0, 0] : (tensor<1x128xf32>) -> tensor<1x1920xf32>
  %3 = tile.mvm %b, %2 : (!tile.crossbar<1x1920x128>, tensor<1x1920xf32>) -> tensor<1x128xf32>
  %4 = tile.view(%3) strides = [0, 0] : (tensor<1x128xf32>) -> tensor<1x1920xf32>
  %5 = tile.mvm %c, %4 : (!tile.crossbar<1x1920x128>, tensor<1x1920xf32>) -> tensor<1x128xf32>
  func.return %5 : tensor<1x128xf32>
}
