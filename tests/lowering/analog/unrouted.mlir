// RUN: not semc opt %s -p "convert-place-to-analog" 2>&1 | filecheck %s

// CHECK: matrix fc needs sites and a place.route

place.machine "memcap-demo" machine "memcap" grid [4, 4, 4] active 1 array [128, 32] memories {sram = 1048576 : i64} units {crossbar = "sram"}
func.func @main() {
  %m = place.program <"fc"> tiles dense<[[0, 0, 8, 0, 8]]> : tensor<1x5xi32> sites dense<[[0, 0, 0, 0, 0]]> : tensor<1x5xi32> : !tile.crossbar<1x8x8>
  func.return
}
