// RUN: semc opt %s --split-input-file -p "place-tiles{target=memcap-demo}" | filecheck %s

// Two small matrices share one array, side by side; the nearest site is the port's.
// CHECK-LABEL: func.func @main
// CHECK: tile.program <"a"> tiles {{.*}} {sites = dense<{{\[\[}}0, 2, 2, 0, 20]]> : tensor<1x5xi32>} : !tile.crossbar<1x64x10>
// CHECK: tile.program <"b"> tiles {{.*}} {sites = dense<{{\[\[}}0, 2, 2, 0, 0]]> : tensor<1x5xi32>} : !tile.crossbar<1x40x20>
func.func @main() {
  %a = tile.program <"a"> tiles dense<[[0, 0, 64, 0, 10]]> : tensor<1x5xi32> : !tile.crossbar<1x64x10>
  %b = tile.program <"b"> tiles dense<[[0, 0, 40, 0, 20]]> : tensor<1x5xi32> : !tile.crossbar<1x40x20>
  func.return
}

// -----

// A tile that fills an array has it alone; both take their input from the port's side.
// CHECK-LABEL: func.func @full
// CHECK: tile.program <"a">
// CHECK-SAME: sites = dense<{{\[\[}}0, 1, 2, 0, 0], [0, 2, 2, 0, 0]]>
func.func @full() {
  %a = tile.program <"a"> tiles dense<[[0, 0, 128, 0, 32], [0, 128, 128, 0, 32]]> : tensor<2x5xi32> : !tile.crossbar<1x256x32>
  func.return
}
