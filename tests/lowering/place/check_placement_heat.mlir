// RUN: semc opt %s --split-input-file --verify-diagnostics -p "check-placement" | filecheck %s

// One stack: 0.25 W through 8 K/W of package, 4 to the layer, 2 from layer to layer.
// CHECK: func.func @cool
place.machine "chip" machine "memcap" grid [2, 1, 1] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"} heat {ambient_c = 25.0 : f64, sink = 0.125 : f64, attach = 0.25 : f64, between = 0.5 : f64, die_rows = 1.0 : f64, die_cols = 1.0 : f64, layer_rows = 1.0 : f64, layer_cols = 1.0 : f64, max_temperature_c = 29.0 : f64, max_layer_power_w = 0.25 : f64, period_s = 0.5 : f64, die_w = 0.0 : f64}
func.func @cool() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> sites dense<[[1, 0, 0, 0, 0]]> : tensor<1x5xi32> energy dense<[[0.125, 0.0]]> : tensor<1x2xf32> : !tile.crossbar<1x4x2>
  place.route %m dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x2>
  func.return
}

// -----

// CHECK: layer 1 makes 0.25 J in 0.5 s = 0.5 W of heat, which must be at most 0.25 W
place.machine "chip" machine "memcap" grid [2, 1, 1] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"} heat {ambient_c = 25.0 : f64, sink = 0.125 : f64, attach = 0.25 : f64, between = 0.5 : f64, die_rows = 1.0 : f64, die_cols = 1.0 : f64, layer_rows = 1.0 : f64, layer_cols = 1.0 : f64, max_temperature_c = 99.0 : f64, max_layer_power_w = 0.25 : f64, period_s = 0.5 : f64, die_w = 0.0 : f64}
func.func @over_its_power() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> sites dense<[[1, 0, 0, 0, 0]]> : tensor<1x5xi32> energy dense<[[0.25, 0.0]]> : tensor<1x2xf32> : !tile.crossbar<1x4x2>
  place.route %m dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x2>
  func.return
}

// -----

// CHECK: layer 1 becomes too warm at (row, col) (0, 0): 25.0 C around + 6.0 K of the package (0.75 W) + 3.0 K of the stack = 34.0 C, which must be at most 33.0 C
place.machine "chip" machine "memcap" grid [2, 1, 1] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"} heat {ambient_c = 25.0 : f64, sink = 0.125 : f64, attach = 0.25 : f64, between = 0.5 : f64, die_rows = 1.0 : f64, die_cols = 1.0 : f64, layer_rows = 1.0 : f64, layer_cols = 1.0 : f64, max_temperature_c = 33.0 : f64, max_layer_power_w = 0.0 : f64, period_s = 0.5 : f64, die_w = 0.25 : f64}
func.func @too_warm() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> sites dense<[[1, 0, 0, 0, 0]]> : tensor<1x5xi32> energy dense<[[0.25, 0.0]]> : tensor<1x2xf32> : !tile.crossbar<1x4x2>
  place.route %m dense<[[-1, 0, -1, 0]]> : tensor<1x4xi32> : !tile.crossbar<1x4x2>
  func.return
}

// -----

// CHECK: place.machine: heat needs the numbers ambient_c, sink,
place.machine "chip" machine "memcap" grid [2, 1, 1] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"} heat {ambient_c = 25.0 : f64}

// -----

// CHECK: place.machine: period_s must be above 0, got 0.0
place.machine "chip" machine "memcap" grid [2, 1, 1] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"} heat {ambient_c = 25.0 : f64, sink = 0.125 : f64, attach = 0.25 : f64, between = 0.5 : f64, die_rows = 1.0 : f64, die_cols = 1.0 : f64, layer_rows = 1.0 : f64, layer_cols = 1.0 : f64, max_temperature_c = 33.0 : f64, max_layer_power_w = 0.0 : f64, period_s = 0.0 : f64, die_w = 0.25 : f64}

// -----

// CHECK: place.machine: dead_arrays must be below [2, 1, 1] and not negative
place.machine "chip" machine "memcap" grid [2, 1, 1] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"} defects {dead_arrays = dense<[[2, 0, 0]]> : tensor<1x3xi32>}

// -----

// CHECK: place.machine: dead_cols must be below [2, 1, 1, 32] and not negative
place.machine "chip" machine "memcap" grid [2, 1, 1] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"} defects {dead_cols = dense<[[1, 0, 0, 32]]> : tensor<1x4xi32>}

// -----

// CHECK: place.machine: defects are tables dead_arrays, dead_rows, dead_cols, missing_vias, not dust
place.machine "chip" machine "memcap" grid [2, 1, 1] array [128, 32] memories {sram = 1024 : i64} units {vector = "sram"} defects {dust = dense<[[1, 0, 0]]> : tensor<1x3xi32>}

// -----

// CHECK: place.program: energy needs columns ('layer', 'die'), a tile each, not below 0
func.func @energy_below_zero() {
  %m = place.program <"w"> tiles dense<[[0, 0, 4, 0, 2]]> : tensor<1x5xi32> sites dense<[[1, 0, 0, 0, 0]]> : tensor<1x5xi32> energy dense<[[-0.25, 0.0]]> : tensor<1x2xf32> : !tile.crossbar<1x4x2>
  func.return
}
