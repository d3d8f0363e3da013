// RUN: semc opt %s | filecheck %s
// RUN: semc opt %s | semc opt | filecheck %s
// RUN: semc opt %s --print-op-generic | semc opt | filecheck %s

pal.machine "mesh-small" devices ["cpu0", "spu0"]
func.func @mlp(%x: tensor<4x40xf32>, %w: tensor<40x8xf32>) -> tensor<4x8xf32> {
  %a = pal.encode %x search 0 : tensor<4x40xf32> -> tensor<4x40x!pal.num<"pal8">, #pal.blocks<1>>
  %b = pal.encode %w : tensor<40x8xf32> -> tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>>
  %c = pal.matmul %a, %b : tensor<4x40x!pal.num<"pal8">, #pal.blocks<1>>, tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>> -> tensor<4x8xf32>
  %d = pal.matmul exact %a, %b : tensor<4x40x!pal.num<"pal8">, #pal.blocks<1>>, tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>> -> tensor<4x8xf32>
  %e = pal.decode %b : tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>> -> tensor<40x8xbf16>
  %y = pal.task "fc/\22Gemm\22" on "spu0" in "pal8" from 0 to 900 (%p = %c : tensor<4x8xf32>, %q = %d : tensor<4x8xf32>) -> (tensor<4x8xf32>) attributes {note = 1 : i32} {
    %r = arith.addf %p, %q : tensor<4x8xf32>
    pal.yield %r : tensor<4x8xf32>
  }
  %z = pal.transfer %y from "spu0" to "cpu0" bytes 128 start 900 finish 1000 : tensor<4x8xf32>
  func.return %z : tensor<4x8xf32>
}

// CHECK:      pal.machine "mesh-small" devices ["cpu0", "spu0"]
// CHECK-NEXT: func.func @mlp
// CHECK-NEXT:   %a = pal.encode %x search 0 : tensor<4x40xf32> -> tensor<4x40x!pal.num<"pal8">, #pal.blocks<1>>
// CHECK-NEXT:   %b = pal.encode %w : tensor<40x8xf32> -> tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>>
// CHECK-NEXT:   %c = pal.matmul %a, %b : tensor<4x40x!pal.num<"pal8">, #pal.blocks<1>>, tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>> -> tensor<4x8xf32>
// CHECK-NEXT:   %d = pal.matmul exact %a, %b : tensor<4x40x!pal.num<"pal8">, #pal.blocks<1>>, tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>> -> tensor<4x8xf32>
// CHECK-NEXT:   %e = pal.decode %b : tensor<40x8x!pal.num<"pal4">, #pal.blocks<0>> -> tensor<40x8xbf16>
// CHECK-NEXT:   %y = pal.task "fc/\22Gemm\22" on "spu0" in "pal8" from 0 to 900 (%p = %c : tensor<4x8xf32>, %q = %d : tensor<4x8xf32>) -> (tensor<4x8xf32>) attributes {note = 1 : i32} {
// CHECK-NEXT:     %r = arith.addf %p, %q : tensor<4x8xf32>
// CHECK-NEXT:     pal.yield %r : tensor<4x8xf32>
// CHECK-NEXT:   }
// CHECK-NEXT:   %z = pal.transfer %y from "spu0" to "cpu0" bytes 128 start 900 finish 1000 : tensor<4x8xf32>
// CHECK-NEXT:   func.return %z : tensor<4x8xf32>
