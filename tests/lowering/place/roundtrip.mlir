// RUN: semc opt %s | semc opt - | filecheck %s
// CHECK: place.machine "memcap-demo" machine "memcap" grid [4, 4, 4] array [128, 32]
// CHECK: place.mvm {{.*}} slot 0 node "fc"
// CHECK: place.stage "vector" slot 1
// CHECK: analog.controller "layer1"
// CHECK: analog.accumulate {{.*}} tiles [0, 1] event 3
// CHECK: analog.sync [3]

place.machine "memcap-demo" machine "memcap" grid [4, 4, 4] array [128, 32] memories {host = 100 : i64, sram = 1024 : i64} units {vector = "sram"}
func.func @main() {
  %x = place.buffer "sram" at 0 port "input:x" : !place.buffer<tensor<1x4xf32>>
  %y = place.buffer "sram" at 16 : !place.buffer<tensor<1x2xf32>>
  %b = place.buffer "sram" at 32 init <"b"> {value = "q"} : !place.buffer<tensor<1x2xf32>>
  %o = place.buffer "host" at 32 port "output:q" : !place.buffer<tensor<1x2xf32>>
  %m = place.program <"w"> tiles dense<[[0,0,4,0,2]]> : tensor<1x5xi32> sites dense<[[1,0,0,0,0]]> : tensor<1x5xi32> : !tile.crossbar<1x4x2>
  place.route %m dense<[[-1,0,-1,0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x2>
  place.mvm %m, %x -> %y slot 0 node "fc" : !tile.crossbar<1x4x2>, !place.buffer<tensor<1x4xf32>> -> !place.buffer<tensor<1x2xf32>>
  place.stage "vector" slot 1 (%y, %b) -> (%y) {node = "add"} : (!place.buffer<tensor<1x2xf32>>, !place.buffer<tensor<1x2xf32>>) -> (!place.buffer<tensor<1x2xf32>>) {
  ^bb0(%0: tensor<1x2xf32>, %1: tensor<1x2xf32>):
    %2 = tile.map(%0, %1) : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32> {
    ^bb1(%a: f32, %c: f32):
      %d = arith.addf %a, %c : f32
      tile.yield %d : f32
    }
    place.yield %2 : tensor<1x2xf32>
  }
  place.move %y -> %o slot 2 : !place.buffer<tensor<1x2xf32>> -> !place.buffer<tensor<1x2xf32>>
  %am = analog.program matrix 0 <"w"> tiles dense<[[0,0,4,0,2]]> : tensor<1x5xi32> sites dense<[[1,0,0,0,0]]> : tensor<1x5xi32> routes dense<[[-1,0,-1,0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x2>
  analog.controller "layer1" {
    analog.drive %am, %x tiles [0, 1] event 0 : !tile.crossbar<1x4x2>, !place.buffer<tensor<1x4xf32>>
    analog.integrate %am tiles [0, 1] event 1 : !tile.crossbar<1x4x2>
    analog.convert %am tiles [0, 1] event 2 : !tile.crossbar<1x4x2>
    analog.accumulate %am, %y tiles [0, 1] event 3 : !tile.crossbar<1x4x2>, !place.buffer<tensor<1x2xf32>>
  }
  analog.controller "vector" {
    analog.sync [3]
    analog.vector event 4 (%y, %b) -> (%y) {node = "add"} : (!place.buffer<tensor<1x2xf32>>, !place.buffer<tensor<1x2xf32>>) -> (!place.buffer<tensor<1x2xf32>>) {
    ^bb0(%0: tensor<1x2xf32>, %1: tensor<1x2xf32>):
      place.yield %0 : tensor<1x2xf32>
    }
  }
  func.return
}
