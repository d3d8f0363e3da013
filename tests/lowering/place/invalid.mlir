// RUN: semc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: place.alias: bytes 8..24 leave the buffer of 16 bytes
func.func @alias_past_the_end() {
  %b = place.buffer "sram" at 0 : !place.buffer<tensor<4xf32>>
  %c = place.alias %b at 8 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  func.return
}

// -----

// CHECK: place.move copies
func.func @move_of_another_type() {
  %b = place.buffer "sram" at 0 : !place.buffer<tensor<4xf32>>
  %c = place.buffer "sram" at 64 : !place.buffer<tensor<4xf16>>
  place.move %b -> %c slot 0 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf16>>
  func.return
}

// -----

// CHECK: place.stage: region yields nothing, writes (tensor<4xf32>)
func.func @stage_without_yield() {
  %b = place.buffer "sram" at 0 : !place.buffer<tensor<4xf32>>
  place.stage "vector" slot 0 (%b) -> (%b) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%0: tensor<4xf32>):
    %1 = tile.view(%0) strides = [1] : (tensor<4xf32>) -> tensor<4xf32>
  }
  func.return
}

// -----

// CHECK: place.mvm: x must be [P, 4], got [1, 5]
func.func @product_of_another_size() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> device "cpu" : !tile.crossbar<1x4x2>
  %x = place.buffer "sram" at 0 : !place.buffer<tensor<1x5xf32>>
  %y = place.buffer "sram" at 64 : !place.buffer<tensor<1x2xf32>>
  place.mvm %m, %x -> %y slot 0 : !tile.crossbar<1x4x2>, !place.buffer<tensor<1x5xf32>> -> !place.buffer<tensor<1x2xf32>>
  func.return
}

// -----

// CHECK: place.program needs either sites or a device
func.func @program_nowhere() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> : !tile.crossbar<1x4x2>
  func.return
}

// -----

// CHECK: port must be input:NAME or output:NAME
func.func @bad_port() {
  %b = place.buffer "sram" at 0 port "x" : !place.buffer<tensor<4xf32>>
  func.return
}
