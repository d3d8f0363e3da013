// RUN: semc opt %s -p "convert-place-to-pal{target=mesh-small},check-schedule" | filecheck %s

// A loop takes the time of all its iterations; slots inside are numbered and timed anew.
// CHECK: pal.task "cpu0" format "fp32" slot 0 start 0 finish [[T0:[0-9]+]]
// CHECK: pal.loop index %i : !place.buffer<tensor<i64>> max 4 slot 1 after [0] start [[T0]] finish [[T1:[0-9]+]] node "loop" {
// CHECK-NEXT: pal.task "cpu0" format "fp32" slot 0 start 0 finish [[D:[0-9]+]]
// CHECK: pal.task "cpu0" format "fp32" slot 2 after [1] start [[T1]]
place.machine "mesh-small" machine "mesh" grid [] array [] memories {cpu0 = 4096 : i64, gpu0 = 4096 : i64} units {cpu0 = "cpu0", gpu0 = "gpu0"}
func.func @main() {
  %x = place.buffer "cpu0" at 0 port "input:x" : !place.buffer<tensor<4xf32>>
  %a = place.buffer "cpu0" at 64 : !place.buffer<tensor<4xf32>>
  %i = place.buffer "cpu0" at 128 : !place.buffer<tensor<i64>>
  %y = place.buffer "cpu0" at 192 port "output:y" : !place.buffer<tensor<4xf32>>
  place.move %x -> %a slot 0 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  place.loop index %i : !place.buffer<tensor<i64>> max 4 slot 1 node "loop" {
    place.stage "cpu0" slot 2 (%a) -> (%a) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
    ^bb0(%t: tensor<4xf32>):
      %u = tile.map(%t) : (tensor<4xf32>) -> tensor<4xf32> {
      ^bb1(%v: f32):
        %w = arith.addf %v, %v : f32
        tile.yield %w : f32
      }
      place.yield %u : tensor<4xf32>
    }
  }
  place.move %a -> %y slot 3 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  func.return
}
