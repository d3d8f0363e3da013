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

func.func @task_format() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  // CHECK: a format must be one of {{.*}}, not 'int3'
  pal.task "spu0" format "int3" slot 0 start 0 finish 1 (%x) -> (%x) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%a : tensor<4xf32>):
    place.yield %a : tensor<4xf32>
  }
  func.return
}

// -----

func.func @task_times() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  // CHECK: times must satisfy 0 <= start <= finish, not start 5 ps, finish 4 ps
  pal.task "spu0" format "pal8" slot 0 start 5 finish 4 (%x) -> (%x) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%a : tensor<4xf32>):
    place.yield %a : tensor<4xf32>
  }
  func.return
}

// -----

func.func @task_region() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  // CHECK: pal.task: region takes (tensor<8xf32>), reads (tensor<4xf32>)
  pal.task "spu0" format "pal8" slot 0 start 0 finish 4 (%x) -> (%x) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%a : tensor<8xf32>):
    place.yield %a : tensor<8xf32>
  }
  func.return
}

// -----

func.func @task_yield() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  %y = place.buffer "spu0" at 64 : !place.buffer<tensor<8xf32>>
  // CHECK: pal.task: region yields (tensor<4xf32>), writes (tensor<8xf32>)
  pal.task "spu0" format "pal8" slot 0 start 0 finish 4 (%x) -> (%y) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<8xf32>>) {
  ^bb0(%a : tensor<4xf32>):
    place.yield %a : tensor<4xf32>
  }
  func.return
}

// -----

func.func @task_holds_strangers() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  // CHECK: pal.task holds tile and pal operations, not arith.addf
  pal.task "spu0" format "pal8" slot 0 start 0 finish 4 (%x) -> (%x) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%a : tensor<4xf32>):
    %b = arith.addf %a, %a : tensor<4xf32>
    place.yield %b : tensor<4xf32>
  }
  func.return
}

// -----

func.func @task_elsewhere() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  // CHECK: pal.task on spu1 works in memory spu1, a buffer is in spu0: a pal.transfer is needed
  pal.task "spu1" format "pal8" slot 0 start 0 finish 4 (%x) -> (%x) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%a : tensor<4xf32>):
    place.yield %a : tensor<4xf32>
  }
  func.return
}

// -----

func.func @task_waits_for_itself() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  // CHECK: slot 0 waits for increasing, earlier slots, not [0]
  pal.task "spu0" format "pal8" slot 0 after [0] start 0 finish 4 (%x) -> (%x) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%a : tensor<4xf32>):
    place.yield %a : tensor<4xf32>
  }
  func.return
}

// -----

func.func @transfer_within_one_memory() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  %y = place.buffer "spu0" at 64 : !place.buffer<tensor<4xf32>>
  // CHECK: pal.transfer must go to another memory, both buffers are in spu0
  pal.transfer %x -> %y bytes 16 slot 0 start 0 finish 1 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  func.return
}

// -----

func.func @transfer_bytes() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  %y = place.buffer "spu1" at 64 : !place.buffer<tensor<4xf32>>
  // CHECK: bytes must not be negative, not -16
  pal.transfer %x -> %y bytes -16 slot 0 start 0 finish 1 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  func.return
}

// -----

func.func @transfer_types() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  %y = place.buffer "spu1" at 64 : !place.buffer<tensor<2x2xf32>>
  // CHECK: types must agree
  pal.transfer %x -> %y bytes 16 slot 0 start 0 finish 1 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<2x2xf32>>
  func.return
}

// -----

place.machine "mesh" machine "mesh" grid [] array [] memories {cpu0 = 64 : i64} units {cpu0 = "cpu0"}
func.func @unknown_device() {
  %x = place.buffer "gpu0" at 0 : !place.buffer<tensor<4xf32>>
  // CHECK: pal.task uses device 'gpu0', which is none of cpu0
  pal.task "gpu0" format "bf16" slot 0 start 0 finish 4 (%x) -> (%x) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%a : tensor<4xf32>):
    place.yield %a : tensor<4xf32>
  }
  func.return
}

// -----

func.func @weight_format() {
  // CHECK: pal.weight: format bf16 cannot be held as tensor<32x8x!pal.num<"pal8">, #pal.blocks<0>>
  %w = pal.weight <"w"> in "spu0" at 0 format "bf16" : !place.buffer<tensor<32x8x!pal.num<"pal8">, #pal.blocks<0>>>
  func.return
}

// -----

func.func @weight_blocks() {
  // CHECK: pal.weight: blocks must run along K
  %w = pal.weight <"w"> in "spu0" at 0 format "pal8" : !place.buffer<tensor<32x8x!pal.num<"pal8">, #pal.blocks<1>>>
  func.return
}

// -----

func.func @weight_is_read_only() {
  %w = pal.weight <"w"> in "spu0" at 0 format "fp32" : !place.buffer<tensor<4x4xf32>>
  // CHECK: pal.task: a stationary operand cannot be written
  pal.task "spu0" format "pal8" slot 0 start 0 finish 4 (%w) -> (%w) : (!place.buffer<tensor<4x4xf32>>) -> (!place.buffer<tensor<4x4xf32>>) {
  ^bb0(%a : tensor<4x4xf32>):
    place.yield %a : tensor<4x4xf32>
  }
  func.return
}

// -----

// CHECK: a PAL format must be one of pal4, pal4k32, pal6, pal8, pal8lite, pal8k16, pal16, not 'pal7'
func.func private @unknown_format(tensor<4x!pal.num<"pal7">, #pal.blocks<0>>)
