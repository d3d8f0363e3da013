// RUN: not semc opt %s -p "assign-devices{target=memcap-demo}" 2>&1 | filecheck %s
// RUN: not semc opt %s -p "convert-place-to-pal{target=mesh-cpu}" 2>&1 | filecheck %s --check-prefix=PLACE

// CHECK: assign-devices needs a mesh target, memcap-demo is a chip
// PLACE: convert-place-to-pal needs one place.machine of kind mesh
func.func @main(%x: tensor<1x8xf32>) -> tensor<1x8xf32> {
  func.return %x : tensor<1x8xf32>
}
