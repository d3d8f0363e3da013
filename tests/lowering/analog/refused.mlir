// RUN: not semc opt %s -p "convert-place-to-analog" 2>&1 | filecheck %s

// CHECK: convert-place-to-analog needs one place.machine of kind memcap
// CHECK-SAME: run place-tiles and convert-tile-to-place for a memcap target first

place.machine "mesh-small" machine "mesh" grid [] array [] memories {cpu0 = 1024 : i64} units {cpu0 = "cpu0"}
func.func @main() {
  func.return
}
