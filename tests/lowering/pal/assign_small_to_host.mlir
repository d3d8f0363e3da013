// RUN: semc opt %s -p "assign-devices{target=mesh-small}" | filecheck %s

// A few numbers are not worth a transfer: everything stays on the host.

// CHECK: tile.program <"w"> {unit = "cpu0"}
// CHECK: tile.mvm {{.*}} {unit = "cpu0"}
// CHECK-NOT: spu0
// CHECK-NOT: gpu0
func.func @main(%x: tensor<1x8xf32>) -> tensor<1x4xf32> {
  %m = tile.program <"w"> : !tile.crossbar<1x8x4>
  %0 = tile.mvm %m, %x : (!tile.crossbar<1x8x4>, tensor<1x8xf32>) -> tensor<1x4xf32>
  func.return %0 : tensor<1x4xf32>
}
