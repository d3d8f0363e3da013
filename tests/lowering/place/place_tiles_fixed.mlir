// RUN: semc opt %s -p "place-tiles{target=memcap-demo},convert-tile-to-place{target=memcap-demo},check-placement" | filecheck %s

// A row of sites that stands there already is a fixed position; layer -1 leaves the choice open.
// Nothing else comes into the array of a fixed tile, here the one nearest to the port.
// CHECK: place.program <"a"> tiles {{.*}} sites dense<{{\[\[}}0, 2, 2, 100, 30], [0, 1, 2, 0, 0]]> : tensor<2x5xi32>
// CHECK-SAME: fixed dense<{{\[\[}}0, 2, 2, 100, 30], [-1, -1, -1, -1, -1]]>
// CHECK: place.program <"b"> tiles {{.*}} sites dense<{{\[\[}}0, 1, 2, 0, 2]]> : tensor<1x5xi32> :
// CHECK: place.program <"c"> tiles {{.*}} sites dense<{{\[\[}}3, 0, 0, 0, 0]]> : tensor<1x5xi32> fixed dense<{{\[\[}}3, 0, 0, 0, 0]]>
func.func @main() {
  %a = tile.program <"a"> tiles dense<[[0, 0, 4, 0, 2], [0, 4, 4, 0, 2]]> : tensor<2x5xi32> {sites = dense<[[0, 2, 2, 100, 30], [-1, -1, -1, -1, -1]]> : tensor<2x5xi32>} : !tile.crossbar<1x8x2>
  %b = tile.program <"b"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> : !tile.crossbar<1x4x2>
  %c = tile.program <"c"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> {sites = dense<[[3, 0, 0, 0, 0]]> : tensor<1x5xi32>} : !tile.crossbar<1x4x2>
  func.return
}
