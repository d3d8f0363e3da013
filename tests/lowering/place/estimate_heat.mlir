// RUN: semc opt %s -p "convert-tile-to-place{target=memcap-demo},estimate-heat{target=memcap-demo},check-placement" | filecheck %s

// Each of 3 rows of x is read 5 times. 16 pairs of columns take 2 rounds of 50 ns after 20 ns, and
// the two tiles of an array follow each other: 15 x 2 x 120 ns.
// CHECK: place.machine "memcap-demo" machine "memcap" {{.*}} heat {ambient_c = 2.500000e+01 : f64
// CHECK-SAME: period_s = {{3.60+(e-06|3e-06)}} : f64, die_w = 5.000000e-03 : f64
// CHECK: place.program <"w"> tiles {{.*}} energy dense<{{\[\[}}[[LAYER:[0-9.e-]+]], [[DIE:[0-9.e-]+]]], {{\[}}[[LAYER]], [[DIE]]]]> : tensor<2x2xf32>
func.func @main(%x: tensor<3x8xf32>) -> tensor<3x8xf32> attributes {input_names = ["x"], output_names = ["y"]} {
  %m = tile.program <"w"> tiles dense<[[0, 0, 4, 0, 8], [0, 4, 4, 0, 8]]> : tensor<2x5xi32> {sites = dense<[[0, 2, 2, 0, 0], [0, 2, 2, 4, 0]]> : tensor<2x5xi32>} : !tile.crossbar<1x8x8>
  %first = tile.mvm %m, %x : (!tile.crossbar<1x8x8>, tensor<3x8xf32>) -> tensor<3x8xf32>
  %y = tile.loop (%first) max 4 : (tensor<3x8xf32>) -> (tensor<3x8xf32>) {
  ^bb0(%i: tensor<i64>, %h: tensor<3x8xf32>):
    %next = tile.mvm %m, %h : (!tile.crossbar<1x8x8>, tensor<3x8xf32>) -> tensor<3x8xf32>
    tile.yield %next : tensor<3x8xf32>
  }
  func.return %y : tensor<3x8xf32>
}
