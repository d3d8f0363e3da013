// RUN: semc opt %s | filecheck %s
// RUN: semc opt %s --print-op-generic | filecheck %s --check-prefix=GENERIC

// CHECK-LABEL: func.func @matrices
func.func @matrices(%x: tensor<2x6xf32>, %g: tensor<3x5x4xf32>) -> tensor<2x4xf32> {
  // CHECK: %0 = tile.program <"w"> : !tile.crossbar<1x6x4>
  // GENERIC: "tile.program"() <{weight = #graph.weight<"w">}> : () -> !tile.crossbar<1x6x4>
  %0 = tile.program <"w"> : !tile.crossbar<1x6x4>
  // CHECK: %1 = tile.mvm %0, %x {value = "y"} : (!tile.crossbar<1x6x4>, tensor<2x6xf32>) -> tensor<2x4xf32>
  %1 = tile.mvm %0, %x {value = "y"} : (!tile.crossbar<1x6x4>, tensor<2x6xf32>) -> tensor<2x4xf32>
  // A stack of matrices takes a stack of rows.
  // CHECK: tile.program <"v"> tiles dense<{{.*}}> : tensor<3x5xi32> : !tile.crossbar<3x4x2>
  %2 = tile.program <"v"> tiles dense<[[0, 0, 4, 0, 2], [1, 0, 4, 0, 2], [2, 0, 4, 0, 2]]> : tensor<3x5xi32> : !tile.crossbar<3x4x2>
  // CHECK: tile.mvm %2, %g : (!tile.crossbar<3x4x2>, tensor<3x5x4xf32>) -> tensor<3x5x2xf32>
  %3 = tile.mvm %2, %g : (!tile.crossbar<3x4x2>, tensor<3x5x4xf32>) -> tensor<3x5x2xf32>
  // Quantised: codes, scales, the input's full scale and a converter range for each tile.
  // CHECK: tile.program <"w"> codes <"w.codes"> scale <"w.scale"> input_scale 2.500000e+00 : f32 adc_range dense<[3.000000e+00, 4.000000e+00]> : tensor<2xf32> tiles dense<{{.*}}> : tensor<2x5xi32> : !tile.crossbar<1x6x4>
  %4 = tile.program <"w"> codes <"w.codes"> scale <"w.scale"> input_scale 2.5 : f32 adc_range dense<[3.0, 4.0]> : tensor<2xf32> tiles dense<[[0, 0, 3, 0, 4], [0, 3, 3, 0, 4]]> : tensor<2x5xi32> : !tile.crossbar<1x6x4>
  func.return %1 : tensor<2x4xf32>
}

// CHECK-LABEL: func.func @digital
func.func @digital(%x: tensor<4x6xf32>, %i: tensor<1x2x8x8xf32>, %n: tensor<2xi64>) {
  // CHECK: tile.map(%x, %x) : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x6xi1> {
  // CHECK: arith.cmpf ogt
  // CHECK: tile.yield %{{.*}} : i1
  %0 = tile.map(%x, %x) : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x6xi1> {
  ^bb0(%a: f32, %b: f32):
    %c = arith.cmpf ogt, %a, %b : f32
    tile.yield %c : i1
  }
  // CHECK: tile.reduce(%x) kind = max, axes = [1] :
  %1 = tile.reduce(%x) kind = max, axes = [1] : (tensor<4x6xf32>) -> tensor<4xf32>
  // CHECK: tile.view(%x) strides = [0, 6, 1] :
  %2 = tile.view(%x) strides = [0, 6, 1] : (tensor<4x6xf32>) -> tensor<3x4x6xf32>
  // CHECK: tile.pad(%x) low = [1, 0], high = [0, 0], mode = edge :
  %3 = tile.pad(%x) low = [1, 0], high = [0, 0], mode = edge : (tensor<4x6xf32>) -> tensor<5x6xf32>
  // CHECK: tile.concat(%x, %{{.*}}) axis = 0 :
  %4 = tile.concat(%x, %3) axis = 0 : (tensor<4x6xf32>, tensor<5x6xf32>) -> tensor<9x6xf32>
  // CHECK: tile.gather(%x, %n) mode = axis :
  %5 = tile.gather(%x, %n) mode = axis : (tensor<4x6xf32>, tensor<2xi64>) -> tensor<2x6xf32>
  %u = tile.reduce(%x) kind = sum, axes = [0, 1] : (tensor<4x6xf32>) -> tensor<f32>
  // CHECK: tile.scatter(%x, %n, %{{.*}}) mode = nd, reduction = max :
  %6 = tile.scatter(%x, %n, %u) mode = nd, reduction = max : (tensor<4x6xf32>, tensor<2xi64>, tensor<f32>) -> tensor<4x6xf32>
  %taps = graph.constant dense<0> : tensor<2x1xi64>
  %shares = graph.constant dense<1.0> : tensor<2x1xf32>
  // CHECK: tile.resample(%x, %taps, %shares) axis = 0 :
  %7 = tile.resample(%x, %taps, %shares) axis = 0 : (tensor<4x6xf32>, tensor<2x1xi64>, tensor<2x1xf32>) -> tensor<2x6xf32>
  // CHECK: tile.window(%i) kind = im2col, kernel = [3, 3], strides = [1, 1], dilations = [1, 1], low = [1, 1], high = [1, 1], groups = 2 : (tensor<1x2x8x8xf32>) -> tensor<2x64x9xf32>
  %8 = tile.window(%i) kind = im2col, kernel = [3, 3], strides = [1, 1], dilations = [1, 1], low = [1, 1], high = [1, 1], groups = 2 : (tensor<1x2x8x8xf32>) -> tensor<2x64x9xf32>
  // CHECK: tile.contract(%x, %{{.*}}) :
  %9 = tile.view(%x) strides = [1, 6] : (tensor<4x6xf32>) -> tensor<6x4xf32>
  %10 = tile.contract(%x, %9) : (tensor<4x6xf32>, tensor<6x4xf32>) -> tensor<4x4xf32>
  // CHECK: tile.cumulate(%x) kind = sum, axis = 1 :
  %11 = tile.cumulate(%x) kind = sum, axis = 1 : (tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: tile.argsort(%x) axis = 1, count = 2 : (tensor<4x6xf32>) -> tensor<4x2xi64>
  %13 = tile.argsort(%x) axis = 1, count = 2 : (tensor<4x6xf32>) -> tensor<4x2xi64>
  // CHECK: tile.host(%x) model = dense<7> : tensor<1xi8> {op = "Unique", reason = "no lowering of this operator"} :
  %12 = tile.host(%x) model = dense<7> : tensor<1xi8> {op = "Unique", reason = "no lowering of this operator"} : (tensor<4x6xf32>) -> tensor<f32>
  func.return
}
