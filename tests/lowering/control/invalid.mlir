// RUN: semc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: 'graph.if' {{.*}}a region must yield (tensor<2xf32>), not (tensor<3xf32>)
func.func @branches_differ(%c: tensor<i1>, %x: tensor<2xf32>, %y: tensor<3xf32>) {
  %r = graph.if %c : -> (tensor<2xf32>) {
    graph.yield %x : tensor<2xf32>
  } {
    graph.yield %y : tensor<3xf32>
  }
  func.return
}

// -----

// CHECK: 'graph.loop' {{.*}}its region must take (tensor<i64>, tensor<2xf32>), not (tensor<2xf32>)
func.func @no_counter(%x: tensor<2xf32>) {
  %r = graph.loop (%x) max 2 : (tensor<2xf32>) -> (tensor<2xf32>) {
  ^bb0(%a: tensor<2xf32>):
    graph.yield %a : tensor<2xf32>
  }
  func.return
}

// -----

// CHECK: 'graph.loop' {{.*}}while needs a first carried value tensor<i1>
func.func @no_condition(%x: tensor<2xf32>) {
  %r = graph.loop (%x) max 2 while : (tensor<2xf32>) -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i64>, %a: tensor<2xf32>):
    graph.yield %a : tensor<2xf32>
  }
  func.return
}

// -----

// CHECK: 'graph.loop' {{.*}}a region must yield (tensor<2xf32>), not (tensor<2xf32>, tensor<2xf32>)
func.func @one_too_many(%x: tensor<2xf32>) {
  %r = graph.loop (%x) max 2 : (tensor<2xf32>) -> (tensor<2xf32>) {
  ^bb0(%i: tensor<i64>, %a: tensor<2xf32>):
    graph.yield %a, %a : tensor<2xf32>, tensor<2xf32>
  }
  func.return
}

// -----

// CHECK: 'graph.update' {{.*}}update needs data [N, ..], one index and data's [..]
func.func @wrong_row(%x: tensor<4x2xf32>, %i: tensor<i64>, %r: tensor<3xf32>) {
  %y = graph.update(%x, %i, %r) : (tensor<4x2xf32>, tensor<i64>, tensor<3xf32>) -> tensor<4x2xf32>
  func.return
}

// -----

// CHECK: 'place.if' {{.*}}needs a buffer of tensor<i1>, not tensor<2xi1>
func.func @one_condition() {
  %c = place.buffer "sram" at 0 : !place.buffer<tensor<2xi1>>
  place.if %c slot 0 : !place.buffer<tensor<2xi1>> {
  } {
  }
  func.return
}

// -----

// CHECK: 'analog.loop' {{.*}}holds controllers only, not analog.sync
func.func @controllers_inside() {
  %i = place.buffer "sram" at 0 : !place.buffer<tensor<i64>>
  analog.controller "control" {
    analog.loop index %i : !place.buffer<tensor<i64>> max 2 event 0 {
      analog.sync [0]
    }
  }
  func.return
}
