// RUN: semc opt %s -p check-schedule --verify-diagnostics --split-input-file | filecheck %s

func.func @device_used_twice() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  %y = place.buffer "spu0" at 64 : !place.buffer<tensor<4xf32>>
  // CHECK: device spu0 is used twice: by 0 until 100 ps and by 1 from 99 ps
  pal.task "spu0" format "pal8" slot 0 start 0 finish 100 (%x) -> (%x) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%a : tensor<4xf32>):
    place.yield %a : tensor<4xf32>
  }
  pal.task "spu0" format "pal8" slot 1 start 99 finish 200 (%y) -> (%y) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%a : tensor<4xf32>):
    place.yield %a : tensor<4xf32>
  }
  func.return
}

// -----

func.func @too_early() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  %y = place.buffer "spu1" at 64 : !place.buffer<tensor<4xf32>>
  // CHECK: slot 1 starts at 60 ps, before slot 0 ends at 100 ps
  pal.transfer %x -> %y bytes 16 slot 0 start 0 finish 100 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<4xf32>>
  pal.task "spu1" format "pal8" slot 1 after [0] start 60 finish 200 (%y) -> (%y) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%a : tensor<4xf32>):
    place.yield %a : tensor<4xf32>
  }
  func.return
}

// -----

func.func @overwrites_what_is_being_read() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  %part = place.alias %x at 8 : !place.buffer<tensor<4xf32>> -> !place.buffer<tensor<2xf32>>
  %y = place.buffer "spu1" at 64 : !place.buffer<tensor<2xf32>>
  // CHECK: slot 1 shares bytes or control flow with slot 0, and does not wait for it
  pal.transfer %part -> %y bytes 8 slot 0 start 0 finish 100 : !place.buffer<tensor<2xf32>> -> !place.buffer<tensor<2xf32>>
  pal.task "spu0" format "pal8" slot 1 start 200 finish 300 (%x) -> (%x) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%a : tensor<4xf32>):
    place.yield %a : tensor<4xf32>
  }
  func.return
}

// -----

func.func @numbers() {
  %x = place.buffer "spu0" at 0 : !place.buffer<tensor<4xf32>>
  // CHECK: slots must be numbered 0 to 0 in order, not [3]
  pal.task "spu0" format "pal8" slot 3 start 0 finish 100 (%x) -> (%x) : (!place.buffer<tensor<4xf32>>) -> (!place.buffer<tensor<4xf32>>) {
  ^bb0(%a : tensor<4xf32>):
    place.yield %a : tensor<4xf32>
  }
  func.return
}
