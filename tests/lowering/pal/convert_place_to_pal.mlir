// RUN: semc opt %s -p "convert-place-to-pal{target=mesh-small},check-schedule" | filecheck %s

// A stored matrix becomes a stationary operand in each device's format; on an SPU the product is
// one of codes, on the GPU a contraction. A move between memories is a transfer, within one a copy.

// CHECK: func.func @main() attributes {schedule = {makespan_ps = {{[0-9]+}} : i64}}
// CHECK: %[[W:.+]] = pal.weight <"w"> in "spu0" at 2048 format "pal8" : !place.buffer<tensor<64x8x!pal.num<"pal8">, #pal.blocks<0>>>
// CHECK: %[[V:.+]] = pal.weight <"v"> in "gpu0" at 192 format "bf16" : !place.buffer<tensor<8x4xf32>>
// CHECK: pal.transfer %x -> %a bytes 520 slot 0 start 0 finish [[T0:[0-9]+]] :
// CHECK: pal.task "spu0" format "pal8" slot 1 after [0] start [[T0]] finish [[T1:[0-9]+]] (%a, %[[W]]) -> (%h) {node = "fc"}
// CHECK-NEXT: ^bb0(%[[P:.+]]: tensor<4x64xf32>, %[[Q:.+]]: tensor<64x8x!pal.num<"pal8">, #pal.blocks<0>>):
// CHECK-NEXT: %[[A:.+]] = pal.encode %[[P]] search 0 : tensor<4x64xf32> -> tensor<4x64x!pal.num<"pal8">, #pal.blocks<1>>
// CHECK-NEXT: %[[B:.+]] = pal.matmul %[[A]], %[[Q]]
// CHECK-NEXT: %[[C:.+]] = pal.encode %[[B]] search 0 : tensor<4x8xf32> -> tensor<4x8x!pal.num<"pal16">, #pal.blocks<1>>
// CHECK-NEXT: %[[D:.+]] = pal.decode %[[C]]
// CHECK-NEXT: place.yield %[[D]]
// CHECK: pal.task "spu0" format "pal8" slot 2 after [1] start [[T1]] finish [[T2:[0-9]+]] (%h, %h) -> (%s)
// CHECK: pal.encode {{.*}} : tensor<4x8xf32> -> tensor<4x8x!pal.num<"pal8">, #pal.blocks<1>>
// CHECK-NEXT: pal.encode {{.*}} : tensor<8x4xf32> -> tensor<8x4x!pal.num<"pal8">, #pal.blocks<0>>
// CHECK-NEXT: pal.matmul
// CHECK: pal.transfer %h -> %g bytes 64 slot 3 after [1] start [[T1]]
// CHECK: pal.task "gpu0" format "bf16" slot 4 after [3]
// CHECK: tile.contract({{.*}}) : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
// CHECK: pal.transfer %r -> %y bytes 32 slot 5 after [4]
// CHECK: pal.task "cpu0" format "fp32" slot 6 after [5]
// CHECK-NEXT: ^bb0(%[[Y:.+]]: tensor<4x4xf32>):
// CHECK-NEXT: place.yield %[[Y]]
// CHECK-NOT: place.move
place.machine "mesh-small" machine "mesh" grid [] array [] memories {cpu0 = 4096 : i64, gpu0 = 4096 : i64, spu0 = 4096 : i64} units {cpu0 = "cpu0", gpu0 = "gpu0", spu0 = "spu0"}
func.func @main() {
  %w = place.program <"w"> tiles dense<[[0, 0, 64, 0, 8]]> : tensor<1x5xi32> device "spu0" : !tile.crossbar<1x64x8>
  %v = place.program <"v"> tiles dense<[[0, 0, 8, 0, 4]]> : tensor<1x5xi32> device "gpu0" : !tile.crossbar<1x8x4>
  %x = place.buffer "cpu0" at 0 port "input:x" : !place.buffer<tensor<4x64xf32>>
  %a = place.buffer "spu0" at 0 : !place.buffer<tensor<4x64xf32>>
  %h = place.buffer "spu0" at 1024 : !place.buffer<tensor<4x8xf32>>
  %s = place.buffer "spu0" at 1984 : !place.buffer<tensor<4x4xf32>>
  %g = place.buffer "gpu0" at 0 : !place.buffer<tensor<4x8xf32>>
  %r = place.buffer "gpu0" at 128 : !place.buffer<tensor<4x4xf32>>
  %y = place.buffer "cpu0" at 1024 : !place.buffer<tensor<4x4xf32>>
  %z = place.buffer "cpu0" at 2048 port "output:z" : !place.buffer<tensor<4x4xf32>>
  place.move %x -> %a slot 0 : !place.buffer<tensor<4x64xf32>> -> !place.buffer<tensor<4x64xf32>>
  place.mvm %w, %a -> %h unit "spu0" slot 1 node "fc" : !tile.crossbar<1x64x8>, !place.buffer<tensor<4x64xf32>> -> !place.buffer<tensor<4x8xf32>>
  place.stage "spu0" slot 2 (%h, %h) -> (%s) : (!place.buffer<tensor<4x8xf32>>, !place.buffer<tensor<4x8xf32>>) -> (!place.buffer<tensor<4x4xf32>>) {
  ^bb0(%p: tensor<4x8xf32>, %q: tensor<4x8xf32>):
    %t = tile.view(%q) strides = [1, 8] : (tensor<4x8xf32>) -> tensor<8x4xf32>
    %u = tile.contract(%p, %t) : (tensor<4x8xf32>, tensor<8x4xf32>) -> tensor<4x4xf32>
    place.yield %u : tensor<4x4xf32>
  }
  place.move %h -> %g slot 3 : !place.buffer<tensor<4x8xf32>> -> !place.buffer<tensor<4x8xf32>>
  place.mvm %v, %g -> %r unit "gpu0" slot 4 : !tile.crossbar<1x8x4>, !place.buffer<tensor<4x8xf32>> -> !place.buffer<tensor<4x4xf32>>
  place.move %r -> %y slot 5 : !place.buffer<tensor<4x4xf32>> -> !place.buffer<tensor<4x4xf32>>
  place.move %y -> %z slot 6 : !place.buffer<tensor<4x4xf32>> -> !place.buffer<tensor<4x4xf32>>
  func.return
}
