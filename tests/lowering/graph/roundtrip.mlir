// RUN: semc opt %s | filecheck %s
// RUN: semc opt %s --print-op-generic | filecheck %s --check-prefix=GENERIC

// Every operation of the level, those of matrices first.
// CHECK-LABEL: func.func @stored
// GENERIC-LABEL: sym_name = "stored"
func.func @stored(%x: tensor<2x4xf32>, %i: tensor<1x2x8x8xf32>) -> tensor<2x3xf32> {
  // CHECK: %w = graph.constant #graph.weight<"fc.weight"> : tensor<4x3xf32>
  // GENERIC: %w = "graph.constant"() <{value = #graph.weight<"fc.weight">}> : () -> tensor<4x3xf32>
  %w = graph.constant #graph.weight<"fc.weight"> : tensor<4x3xf32>
  // CHECK: %b = graph.constant dense<[1.000000e+00, -2.000000e+00, 0.000000e+00]> : tensor<3xf32>
  %b = graph.constant dense<[1.0, -2.0, 0.0]> : tensor<3xf32>
  // CHECK: graph.linear(%x, %w) : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  %0 = graph.linear(%x, %w) : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  // CHECK: graph.linear(%x, %w, %b) {value = "fc"} :
  // GENERIC: "graph.linear"(%x, %w, %b) {value = "fc"}
  %1 = graph.linear(%x, %w, %b) {value = "fc"}
    : (tensor<2x4xf32>, tensor<4x3xf32>, tensor<3xf32>) -> tensor<2x3xf32>
  %k = graph.constant #graph.weight<"conv.weight"> : tensor<6x1x3x3xf32>
  // CHECK: graph.conv(%i, %k) strides [2, 1] dilations [1, 1] low [1, 1] high [0, 1] groups 2 :
  %2 = graph.conv(%i, %k) strides [2, 1] dilations [1, 1] low [1, 1] high [0, 1] groups 2
    : (tensor<1x2x8x8xf32>, tensor<6x1x3x3xf32>) -> tensor<1x6x4x8xf32>
  %t = graph.constant #graph.weight<"up.weight"> : tensor<2x5x2x2xf32>
  // A negative amount extends the result, as an output padding does.
  // CHECK: graph.conv(%i, %t) strides [2, 2] dilations [1, 1] low [0, 0] high [-1, 0] groups 1 transposed :
  // GENERIC: transposed
  %3 = graph.conv(%i, %t) strides [2, 2] dilations [1, 1] low [0, 0] high [-1, 0] groups 1 transposed
    : (tensor<1x2x8x8xf32>, tensor<2x5x2x2xf32>) -> tensor<1x5x17x16xf32>
  func.return %1 : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @normal
func.func @normal(%x: tensor<2x4xf32>, %s: tensor<4xf32>) -> tensor<2x4xf32> {
  // CHECK: graph.softmax %x axis 1 : tensor<2x4xf32> -> tensor<2x4xf32>
  %0 = graph.softmax %x axis 1 : tensor<2x4xf32> -> tensor<2x4xf32>
  // CHECK: graph.softmax %0 axis 0 log : tensor<2x4xf32>
  %1 = graph.softmax %0 axis 0 log : tensor<2x4xf32> -> tensor<2x4xf32>
  // CHECK: graph.norm(%1) axes [1] epsilon 1.000000e-05 : f64 center true :
  %2 = graph.norm(%1) axes [1] epsilon 1.0e-5 : f64 center true : tensor<2x4xf32> -> tensor<2x4xf32>
  // CHECK: graph.norm(%2) scale %s : tensor<4xf32> axes [1] epsilon 1.000000e-06 : f64 center false :
  %3 = graph.norm(%2) scale %s : tensor<4xf32> axes [1] epsilon 1.0e-6 : f64 center false
    : tensor<2x4xf32> -> tensor<2x4xf32>
  // CHECK: graph.norm(%3) scale %s : tensor<4xf32> bias %s : tensor<4xf32> axes [0, 1]
  %4 = graph.norm(%3) scale %s : tensor<4xf32> bias %s : tensor<4xf32> axes [0, 1]
    epsilon 1.0e-5 : f64 center true : tensor<2x4xf32> -> tensor<2x4xf32>
  func.return %4 : tensor<2x4xf32>
}

// CHECK-LABEL: func.func @digital
func.func @digital(%x: tensor<4x6xf32>, %i: tensor<1x2x8x8xf32>, %n: tensor<2xi64>) {
  // CHECK: graph.map(%x) : (tensor<4x6xf32>) -> tensor<4x6xf32> {
  // CHECK: graph.yield %{{.*}} : f32
  %0 = graph.map(%x) : (tensor<4x6xf32>) -> tensor<4x6xf32> {
  ^bb0(%a: f32):
    %e = math.exp %a : f32
    graph.yield %e : f32
  }
  // A map without operands fills its result.
  // CHECK: graph.map() : () -> tensor<3xf32>
  %fill = graph.map() : () -> tensor<3xf32> {
    %c = arith.constant 1.0 : f32
    graph.yield %c : f32
  }
  // CHECK: graph.reduce(%x) kind = mean, axes = [0, 1], keepdims = true :
  %1 = graph.reduce(%x) kind = mean, axes = [0, 1], keepdims = true : (tensor<4x6xf32>) -> tensor<1x1xf32>
  // CHECK: graph.reduce(%x) kind = argmax, axes = [1], select_last = true :
  %2 = graph.reduce(%x) kind = argmax, axes = [1], select_last = true : (tensor<4x6xf32>) -> tensor<4xi64>
  // CHECK: graph.view(%x) offset = 5, strides = [6, -1] :
  %3 = graph.view(%x) offset = 5, strides = [6, -1] : (tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: graph.pad(%x) low = [1, -1], high = [0, 2], value = -1.000000e+00 : f64 :
  %4 = graph.pad(%x) low = [1, -1], high = [0, 2], value = -1.0 : f64 : (tensor<4x6xf32>) -> tensor<5x7xf32>
  // CHECK: graph.pad(%x) low = [0, 0], high = [0, 0], interior = [1, 0] :
  %5 = graph.pad(%x) low = [0, 0], high = [0, 0], interior = [1, 0] : (tensor<4x6xf32>) -> tensor<7x6xf32>
  // CHECK: graph.pad(%x) low = [1, 1], high = [1, 1], mode = reflect :
  %6 = graph.pad(%x) low = [1, 1], high = [1, 1], mode = reflect : (tensor<4x6xf32>) -> tensor<6x8xf32>
  // CHECK: graph.concat(%x, %x) axis = 1 :
  %7 = graph.concat(%x, %x) axis = 1 : (tensor<4x6xf32>, tensor<4x6xf32>) -> tensor<4x12xf32>
  // CHECK: graph.gather(%x, %n) mode = axis, axis = 1 :
  %8 = graph.gather(%x, %n) mode = axis, axis = 1 : (tensor<4x6xf32>, tensor<2xi64>) -> tensor<4x2xf32>
  // CHECK: graph.gather(%x, %n) mode = nd :
  %9 = graph.gather(%x, %n) mode = nd : (tensor<4x6xf32>, tensor<2xi64>) -> tensor<f32>
  %u = graph.reduce(%x) kind = sum, axes = [0, 1] : (tensor<4x6xf32>) -> tensor<f32>
  // CHECK: graph.scatter(%x, %n, %{{.*}}) mode = nd, reduction = add :
  %10 = graph.scatter(%x, %n, %u) mode = nd, reduction = add : (tensor<4x6xf32>, tensor<2xi64>, tensor<f32>) -> tensor<4x6xf32>
  %taps = graph.constant dense<[[0, 1], [2, 3]]> : tensor<2x2xi64>
  %shares = graph.constant dense<0.5> : tensor<2x2xf32>
  // CHECK: graph.resample(%x, %taps, %shares) axis = 1 :
  %11 = graph.resample(%x, %taps, %shares) axis = 1 : (tensor<4x6xf32>, tensor<2x2xi64>, tensor<2x2xf32>) -> tensor<4x2xf32>
  // CHECK: graph.window(%i) kind = mean, kernel = [2, 2], strides = [2, 2], dilations = [1, 1], low = [0, 0], high = [1, 1], count_include_pad = true :
  %12 = graph.window(%i) kind = mean, kernel = [2, 2], strides = [2, 2], dilations = [1, 1], low = [0, 0], high = [1, 1], count_include_pad = true : (tensor<1x2x8x8xf32>) -> tensor<1x2x4x4xf32>
  %13 = graph.view(%x) strides = [1, 6] : (tensor<4x6xf32>) -> tensor<6x4xf32>
  // CHECK: graph.contract(%x, %{{.*}}) : (tensor<4x6xf32>, tensor<6x4xf32>) -> tensor<4x4xf32>
  %14 = graph.contract(%x, %13) : (tensor<4x6xf32>, tensor<6x4xf32>) -> tensor<4x4xf32>
  // CHECK: graph.cumulate(%x) kind = prod, axis = 0, exclusive = true, reverse = true :
  %15 = graph.cumulate(%x) kind = prod, axis = 0, exclusive = true, reverse = true : (tensor<4x6xf32>) -> tensor<4x6xf32>
  // CHECK: graph.argsort(%x) axis = 0, count = 3, descending = true : (tensor<4x6xf32>) -> tensor<3x6xi64>
  %18 = graph.argsort(%x) axis = 0, count = 3, descending = true : (tensor<4x6xf32>) -> tensor<3x6xi64>
  // Results of a host op are what its model says.
  // CHECK: graph.host(%x) model = dense<{{.*}}> : tensor<3xi8> {op = "Unique", values = ["v", "i"]} : (tensor<4x6xf32>) -> (tensor<4x2xf32>, tensor<4x2xi64>)
  %16, %17 = graph.host(%x) model = dense<[1, 2, 3]> : tensor<3xi8> {op = "Unique", values = ["v", "i"]} : (tensor<4x6xf32>) -> (tensor<4x2xf32>, tensor<4x2xi64>)
  func.return
}
