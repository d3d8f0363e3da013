// RUN: semc opt %s | filecheck %s
// RUN: semc opt %s | semc opt | filecheck %s
// RUN: semc opt %s --print-op-generic | semc opt | filecheck %s
// RUN: semc opt %s -p check-schedule | filecheck %s

place.machine "mesh-small" machine "mesh" grid [] array [] memories {cpu0 = 4096 : i64, spu0 = 4096 : i64} units {cpu0 = "cpu0", spu0 = "spu0"}
func.func @main() {
  %w = pal.weight <"fc.weight"> in "spu0" at 1664 format "pal4" : !place.buffer<tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>>>
  %x = place.buffer "cpu0" at 0 port "input:x" : !place.buffer<tensor<4x40xf32>>
  %a = place.buffer "spu0" at 0 : !place.buffer<tensor<4x40xf32>>
  %y = place.buffer "spu0" at 640 : !place.buffer<tensor<4x8xf32>>
  %z = place.buffer "cpu0" at 640 port "output:z" : !place.buffer<tensor<4x8xf32>>
  pal.transfer %x -> %a bytes 320 slot 0 start 0 finish 900 : !place.buffer<tensor<4x40xf32>> -> !place.buffer<tensor<4x40xf32>>
  pal.task "spu0" format "pal8" slot 1 after [0] start 900 finish 1800 (%a, %w) -> (%y) {node = "fc/\22Gemm\22"} attributes {note = 1 : i32} : (!place.buffer<tensor<4x40xf32>>, !place.buffer<tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>>>) -> (!place.buffer<tensor<4x8xf32>>) {
  ^bb0(%p : tensor<4x40xf32>, %q : tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>>):
    %r = pal.encode %p search 0 : tensor<4x40xf32> -> tensor<4x40x!pal.num<"pal8">, #pal.blocks<1>>
    %s = pal.matmul %r, %q : tensor<4x40x!pal.num<"pal8">, #pal.blocks<1>>, tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>> -> tensor<4x8xf32>
    %d = pal.matmul exact %r, %q : tensor<4x40x!pal.num<"pal8">, #pal.blocks<1>>, tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>> -> tensor<4x8xf32>
    %e = pal.decode %q : tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>> -> tensor<40x8xbf16>
    place.yield %d : tensor<4x8xf32>
  }
  pal.transfer %y -> %z bytes 65 slot 2 after [1] start 1800 finish 2000 node "fc" : !place.buffer<tensor<4x8xf32>> -> !place.buffer<tensor<4x8xf32>>
  func.return
}

// CHECK:      func.func @main
// CHECK-NEXT:   %w = pal.weight <"fc.weight"> in "spu0" at 1664 format "pal4" : !place.buffer<tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>>>
// CHECK:        pal.transfer %x -> %a bytes 320 slot 0 start 0 finish 900 :
// CHECK-NEXT:   pal.task "spu0" format "pal8" slot 1 after [0] start 900 finish 1800 (%a, %w) -> (%y) {node = "fc/\22Gemm\22"} attributes {note = 1 : i32} : (!place.buffer<tensor<4x40xf32>>, !place.buffer<tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>>>) -> (!place.buffer<tensor<4x8xf32>>) {
// CHECK:          %r = pal.encode %p search 0 : tensor<4x40xf32> -> tensor<4x40x!pal.num<"pal8">, #pal.blocks<1>>
// CHECK-NEXT:     %s = pal.matmul %r, %q :
// CHECK-NEXT:     %d = pal.matmul exact %r, %q :
// CHECK-NEXT:     %e = pal.decode %q : tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>> -> tensor<40x8xbf16>
// CHECK-NEXT:     place.yield %d : tensor<4x8xf32>
// CHECK:        pal.transfer %y -> %z bytes 65 slot 2 after [1] start 1800 finish 2000 node "fc" :
