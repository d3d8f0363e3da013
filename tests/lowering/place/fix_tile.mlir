// RUN: semc opt %s -p "fix-tile{node=a site=3,0,1 tile=1},fix-tile{node=a site=0,2,2},fix-tile{node=b site=1,0,0},place-tiles{target=memcap-demo}" | filecheck %s
// RUN: not semc opt %s -p "fix-tile{node=A site=3,0,1}" 2>&1 | filecheck %s --check-prefix=NONE
// RUN: not semc opt %s -p "fix-tile{node=a site=3,0,1 tile=2}" 2>&1 | filecheck %s --check-prefix=TILE
// RUN: not semc opt %s -p "fix-tile{node=a site=3,0}" 2>&1 | filecheck %s --check-prefix=SITE
// RUN: not semc opt %s -p "fix-tile{node=b site=3,0,4},place-tiles{target=memcap-demo}" 2>&1 | filecheck %s --check-prefix=GRID

// CHECK: tile.program <"a"> {{.*}}sites = dense<{{\[\[}}0, 2, 2, 0, 0], [3, 0, 1, 0, 0]]> : tensor<2x5xi32>
// CHECK: tile.program <"b"> {{.*}}sites = dense<{{\[\[}}1, 0, 0, 0, 0]]> : tensor<1x5xi32>
// NONE: a node with a matrix in arrays must be named, came 'A' (help: such are a, b)
// TILE: the tile of a must be in 0..1, came 2
// SITE: a site must be LAYER,ROW,COL, came 3,0
// GRID: fixed positions must be possible: b: tile 0 is at column 4, which must be in 0..3
func.func @main() {
  %a = tile.program <"a"> tiles dense<[[0, 0, 4, 0, 2], [0, 4, 4, 0, 2]]> : tensor<2x5xi32> : !tile.crossbar<1x8x2>
  %b = tile.program <"b"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> : !tile.crossbar<1x4x2>
  func.return
}
