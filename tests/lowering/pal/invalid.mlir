// RUN: semc opt %s --verify-diagnostics --split-input-file | filecheck %s

func.func @matmul_inner(%a: tensor<4x32x!pal.num<"pal8">, #pal.blocks<1>>, %b: tensor<64x8x!pal.num<"pal8">, #pal.blocks<0>>) {
  // CHECK: matmul needs [.., M, K] x [.., K, N] with one K, not [4, 32] x [64, 8]
  %c = pal.matmul %a, %b : tensor<4x32x!pal.num<"pal8">, #pal.blocks<1>>, tensor<64x8x!pal.num<"pal8">, #pal.blocks<0>> -> tensor<4x8xf32>
  func.return
}

// -----

func.func @matmul_blocks(%a: tensor<4x32x!pal.num<"pal8">, #pal.blocks<1>>, %b: tensor<32x8x!pal.num<"pal8">, #pal.blocks<1>>) {
  // CHECK: b must be cut into blocks along its contracted axis 0, not 1
  %c = pal.matmul %a, %b : tensor<4x32x!pal.num<"pal8">, #pal.blocks<1>>, tensor<32x8x!pal.num<"pal8">, #pal.blocks<1>> -> tensor<4x8xf32>
  func.return
}

// -----

func.func @matmul_result(%a: tensor<4x32x!pal.num<"pal8">, #pal.blocks<1>>, %b: tensor<32x8x!pal.num<"pal8">, #pal.blocks<0>>) {
  // CHECK: the product is tensor<4x8xf32>, not tensor<8x4xf32>
  %c = pal.matmul %a, %b : tensor<4x32x!pal.num<"pal8">, #pal.blocks<1>>, tensor<32x8x!pal.num<"pal8">, #pal.blocks<0>> -> tensor<8x4xf32>
  func.return
}

// -----

func.func @matmul_batch(%a: tensor<2x4x32x!pal.num<"pal8">, #pal.blocks<2>>, %b: tensor<3x32x8x!pal.num<"pal8">, #pal.blocks<1>>) {
  // CHECK: batch axes of [2, 4, 32] and [3, 32, 8] do not broadcast
  %c = pal.matmul %a, %b : tensor<2x4x32x!pal.num<"pal8">, #pal.blocks<2>>, tensor<3x32x8x!pal.num<"pal8">, #pal.blocks<1>> -> tensor<3x4x8xf32>
  func.return
}

// -----

func.func @matmul_of_floats(%a: tensor<4x32xf32>, %b: tensor<32x8x!pal.num<"pal8">, #pal.blocks<0>>) {
  // CHECK: a tensor of !pal.num is needed, not tensor<4x32xf32>
  %c = pal.matmul %a, %b : tensor<4x32xf32>, tensor<32x8x!pal.num<"pal8">, #pal.blocks<0>> -> tensor<4x8xf32>
  func.return
}

// -----

func.func @encode_shape(%x: tensor<4x32xf32>) {
  // CHECK: the two shapes must be equal
  %a = pal.encode %x : tensor<4x32xf32> -> tensor<32x4x!pal.num<"pal8">, #pal.blocks<1>>
  func.return
}

// -----

func.func @encode_axis(%x: tensor<4x32xf32>) {
  // CHECK: block axis 2 must be one of the axes of
  %a = pal.encode %x : tensor<4x32xf32> -> tensor<4x32x!pal.num<"pal8">, #pal.blocks<2>>
  func.return
}

// -----

func.func @encode_without_axis(%x: tensor<4x32xf32>) {
  // CHECK: a PAL tensor must name its block axis by #pal.blocks
  %a = pal.encode %x : tensor<4x32xf32> -> tensor<4x32x!pal.num<"pal8">>
  func.return
}

// -----

func.func @encode_integers(%x: tensor<4x32xi32>) {
  // CHECK: PAL codes stand for floating-point numbers, not tensor<4x32xi32>
  %a = pal.encode %x : tensor<4x32xi32> -> tensor<4x32x!pal.num<"pal8">, #pal.blocks<1>>
  func.return
}

// -----

func.func @encode_search(%x: tensor<4x32xf32>) {
  // CHECK: search must not be negative, not -1
  %a = pal.encode %x search -1 : tensor<4x32xf32> -> tensor<4x32x!pal.num<"pal8">, #pal.blocks<1>>
  func.return
}

// -----

func.func @task_format(%x: tensor<4xf32>) {
  // CHECK: a task's format must be one of {{.*}}, not 'int3'
  %y = pal.task "n" on "spu0" in "int3" from 0 to 1 (%a = %x : tensor<4xf32>) -> (tensor<4xf32>) {
    %r = arith.addf %a, %a : tensor<4xf32>
    pal.yield %r : tensor<4xf32>
  }
  func.return
}

// -----

func.func @task_times(%x: tensor<4xf32>) {
  // CHECK: times must satisfy 0 <= start <= finish, not start 5 ps, finish 4 ps
  %y = pal.task "n" on "spu0" in "pal8" from 5 to 4 (%a = %x : tensor<4xf32>) -> (tensor<4xf32>) {
    %r = arith.addf %a, %a : tensor<4xf32>
    pal.yield %r : tensor<4xf32>
  }
  func.return
}

// -----

func.func @task_yield(%x: tensor<4xf32>) {
  // CHECK: the yielded values must have the types of the results (tensor<8xf32>), not (tensor<4xf32>)
  %y = pal.task "n" on "spu0" in "pal8" from 0 to 1 (%a = %x : tensor<4xf32>) -> (tensor<8xf32>) {
    %r = arith.addf %a, %a : tensor<4xf32>
    pal.yield %r : tensor<4xf32>
  }
  func.return
}

// -----

func.func @task_empty(%x: tensor<4xf32>) {
  // CHECK: a task must hold an operation besides pal.yield
  %y = pal.task "n" on "spu0" in "pal8" from 0 to 1 (%a = %x : tensor<4xf32>) -> (tensor<4xf32>) {
    pal.yield %a : tensor<4xf32>
  }
  func.return
}

// -----

func.func @task_reads_from_above(%x: tensor<4xf32>) {
  // CHECK: Operation using value defined out of its IsolatedFromAbove parent
  %y = pal.task "n" on "spu0" in "pal8" from 0 to 1 () -> (tensor<4xf32>) {
    %r = arith.addf %x, %x : tensor<4xf32>
    pal.yield %r : tensor<4xf32>
  }
  func.return
}

// -----

func.func @task_elsewhere(%x: tensor<4xf32>) {
  %y = pal.transfer %x from "cpu0" to "spu0" bytes 16 start 0 finish 1 : tensor<4xf32>
  // CHECK: an operand read on device 'spu1' is on 'spu0': a pal.transfer is needed
  %z = pal.task "n" on "spu1" in "pal8" from 2 to 3 (%a = %y : tensor<4xf32>) -> (tensor<4xf32>) {
    %r = arith.addf %a, %a : tensor<4xf32>
    pal.yield %r : tensor<4xf32>
  }
  func.return
}

// -----

func.func @task_too_early(%x: tensor<4xf32>) {
  %y = pal.transfer %x from "cpu0" to "spu0" bytes 16 start 0 finish 100 : tensor<4xf32>
  // CHECK: an operand is ready at 100 ps, after the start at 99 ps
  %z = pal.task "n" on "spu0" in "pal8" from 99 to 200 (%a = %y : tensor<4xf32>) -> (tensor<4xf32>) {
    %r = arith.addf %a, %a : tensor<4xf32>
    pal.yield %r : tensor<4xf32>
  }
  func.return
}

// -----

func.func @transfer_to_itself(%x: tensor<4xf32>) {
  // CHECK: a transfer must go to another device, not from 'spu0' to itself
  %y = pal.transfer %x from "spu0" to "spu0" bytes 16 start 0 finish 1 : tensor<4xf32>
  func.return
}

// -----

func.func @transfer_bytes(%x: tensor<4xf32>) {
  // CHECK: bytes must not be negative, not -16
  %y = pal.transfer %x from "spu0" to "spu1" bytes -16 start 0 finish 1 : tensor<4xf32>
  func.return
}

// -----

// CHECK: a machine needs devices of different names, not ['spu0', 'spu0']
pal.machine "mesh" devices ["spu0", "spu0"]

// -----

// CHECK: pal.transfer uses device 'gpu0', which is none of cpu0, spu0
pal.machine "mesh" devices ["cpu0", "spu0"]
func.func @unknown_device(%x: tensor<4xf32>) {
  %y = pal.transfer %x from "cpu0" to "gpu0" bytes 16 start 0 finish 1 : tensor<4xf32>
  func.return
}

// -----

// CHECK: a PAL format must be one of pal4, pal4k32, pal6, pal8, pal8lite, pal8k16, pal16, not 'pal7'
func.func private @unknown_format(tensor<4x!pal.num<"pal7">, #pal.blocks<0>>)
