// RUN: semc opt %s -p "assign-devices{target=mesh-small}" | filecheck %s
// RUN: semc opt %s -p "assign-devices{target=mesh-cpu}" | filecheck %s --check-prefix=CPU

// A large product is worth the way to an SPU; what follows it stays there, and so does a renaming
// view. What does not depend on it is done on the host, first.

// CHECK: func.func @main{{.*}}schedule = {tasks = 4 : i64, plan_ps = {{[0-9]+}} : i64, bound_ps = {{[0-9]+}} : i64}
// CHECK-NEXT: %m = tile.program <"w"> {unit = "spu0"}
// CHECK-NEXT: tile.mvm %m, %x {unit = "spu0"}
// CHECK-NEXT: tile.view({{.*}}) strides = [1] {unit = "spu0"}
// CHECK:      tile.map({{.*}}) {unit = "spu0"}
// CHECK:      tile.reduce({{.*}}) {{.*}}{unit = "spu0"}
// CPU: tile.program <"w"> {unit = "cpu0"}
// CPU-NEXT: tile.mvm {{.*}} {unit = "cpu0"}
func.func @main(%x: tensor<512x1024xf32>) -> tensor<1xf32> {
  %m = tile.program <"w"> : !tile.crossbar<1x1024x1024>
  %0 = tile.mvm %m, %x : (!tile.crossbar<1x1024x1024>, tensor<512x1024xf32>) -> tensor<512x1024xf32>
  %1 = tile.view(%0) strides = [1] : (tensor<512x1024xf32>) -> tensor<524288xf32>
  %2 = tile.map(%1) : (tensor<524288xf32>) -> tensor<524288xf32> {
  ^bb0(%a : f32):
    %r = math.exp %a : f32
    tile.yield %r : f32
  }
  %3 = tile.reduce(%2) kind = sum, axes = [0], keepdims = true : (tensor<524288xf32>) -> tensor<1xf32>
  %4 = tile.map(%3) : (tensor<1xf32>) -> tensor<1xf32> {
  ^bb0(%a : f32):
    %r = math.log %a : f32
    tile.yield %r : f32
  }
  func.return %4 : tensor<1xf32>
}
