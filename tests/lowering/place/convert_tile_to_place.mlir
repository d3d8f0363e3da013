// RUN: semc opt %s -p "place-tiles{target=memcap-demo},convert-tile-to-place{target=memcap-demo},check-placement" | filecheck %s

// Inputs come from the host, a view that renames bytes is an alias, dead buffers are used again,
// constants stand at the bottom.
// CHECK: place.machine "memcap-demo" machine "memcap" grid [4, 4, 4] active 1 array [128, 32]
// CHECK: [[M:%.*]] = place.program <"fc.weight"> tiles {{.*}} sites dense<{{\[\[}}0, 2, 2, 0, 0]]>
// CHECK: place.route [[M]] dense<{{\[\[}}-1, 0, -1, 0]]>
// CHECK: [[IN:%.*]] = place.buffer "host" at 0 port "input:x"
// CHECK: [[X:%.*]] = place.buffer "sram" at 64 : !place.buffer<tensor<1x64xf32>>
// CHECK: [[Y:%.*]] = place.buffer "sram" at 320
// CHECK: [[V:%.*]] = place.alias [[Y]] at 0
// CHECK: [[B:%.*]] = place.buffer "sram" at 0 init <"b">
// CHECK: [[Z:%.*]] = place.buffer "sram" at 64 {value = "sum"} : !place.buffer<tensor<10xf32>>
// CHECK: [[OUT:%.*]] = place.buffer "host" at 256 port "output:y"
// CHECK: place.move [[IN]] -> [[X]] slot 0
// CHECK: place.mvm [[M]], [[X]] -> [[Y]] slot 1
// CHECK: place.stage "vector" slot 2 ([[V]], [[B]]) -> ([[Z]])
// CHECK: tile.map
// CHECK: place.move [[Z]] -> [[OUT]] slot 3
func.func @main(%x: tensor<1x64xf32>) -> tensor<10xf32> attributes {input_names = ["x"], output_names = ["y"]} {
  %b = graph.constant #graph.weight<"b"> : tensor<10xf32>
  %m = tile.program <"fc.weight"> tiles dense<[[0, 0, 64, 0, 10]]> : tensor<1x5xi32> : !tile.crossbar<1x64x10>
  %y = tile.mvm %m, %x : (!tile.crossbar<1x64x10>, tensor<1x64xf32>) -> tensor<1x10xf32>
  %v = tile.view(%y) strides = [1] : (tensor<1x10xf32>) -> tensor<10xf32>
  %z = tile.map(%v, %b) {value = "sum"} : (tensor<10xf32>, tensor<10xf32>) -> tensor<10xf32> {
  ^bb0(%a: f32, %c: f32):
    %d = arith.addf %a, %c : f32
    tile.yield %d : f32
  }
  func.return %z : tensor<10xf32>
}
