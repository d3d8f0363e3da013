// RUN: semc opt %s --split-input-file --verify-diagnostics | filecheck %s

// CHECK: 'tile.program' {{.*}}tile 1 [0, 3, 4, 0, 4] leaves the matrix (1, 6, 4)
func.func @outside() {
  %0 = tile.program <"w"> tiles dense<[[0, 0, 3, 0, 4], [0, 3, 4, 0, 4]]> : tensor<2x5xi32> : !tile.crossbar<1x6x4>
  func.return
}

// -----

// CHECK: 'tile.program' {{.*}}tiles must cover the matrix (1, 6, 4) exactly once
func.func @overlapping() {
  %0 = tile.program <"w"> tiles dense<[[0, 0, 3, 0, 4], [0, 2, 3, 0, 4]]> : tensor<2x5xi32> : !tile.crossbar<1x6x4>
  func.return
}

// -----

// CHECK: 'tile.program' {{.*}}tiles must cover the matrix (1, 6, 4) exactly once
func.func @gap() {
  %0 = tile.program <"w"> tiles dense<[[0, 0, 6, 0, 3]]> : tensor<1x5xi32> : !tile.crossbar<1x6x4>
  func.return
}

// -----

// The same tile of two groups is two tiles.
// CHECK: 'tile.program' {{.*}}tiles must cover the matrix (2, 6, 4) exactly once
func.func @one_group_twice() {
  %0 = tile.program <"w"> tiles dense<[[0, 0, 6, 0, 4], [0, 0, 6, 0, 4]]> : tensor<2x5xi32> : !tile.crossbar<2x6x4>
  func.return
}

// -----

// CHECK: 'tile.program' {{.*}}tiles need columns {{.*}}, got shape (1, 4)
func.func @columns() {
  %0 = tile.program <"w"> tiles dense<[[0, 0, 6, 4]]> : tensor<1x4xi32> : !tile.crossbar<1x6x4>
  func.return
}

// -----

// CHECK: 'tile.program' {{.*}}adc_range needs one value a tile
func.func @ranges() {
  %0 = tile.program <"w"> adc_range dense<[1.0, 1.0]> : tensor<2xf32> tiles dense<[[0, 0, 6, 0, 4]]> : tensor<1x5xi32> : !tile.crossbar<1x6x4>
  func.return
}

// -----

// CHECK: error: {{.*}}a crossbar needs positive sizes, got (1, -2, 4)
func.func @crossbar_size() {
  %0 = tile.program <"w"> : !tile.crossbar<1x-2x4>
  func.return
}

// -----

// CHECK: 'tile.mvm' {{.*}}x must be [P, 6], got [2, 5]
func.func @depth(%x: tensor<2x5xf32>) {
  %0 = tile.program <"w"> : !tile.crossbar<1x6x4>
  %1 = tile.mvm %0, %x : (!tile.crossbar<1x6x4>, tensor<2x5xf32>) -> tensor<2x4xf32>
  func.return
}

// -----

// CHECK: 'tile.mvm' {{.*}}x must be [3, P, 6], got [2, 5, 6]
func.func @groups(%x: tensor<2x5x6xf32>) {
  %0 = tile.program <"w"> : !tile.crossbar<3x6x4>
  %1 = tile.mvm %0, %x : (!tile.crossbar<3x6x4>, tensor<2x5x6xf32>) -> tensor<3x5x4xf32>
  func.return
}

// -----

// CHECK: 'tile.mvm' {{.*}}yields (2, 4), declared (2, 3)
func.func @result(%x: tensor<2x6xf32>) {
  %0 = tile.program <"w"> : !tile.crossbar<1x6x4>
  %1 = tile.mvm %0, %x : (!tile.crossbar<1x6x4>, tensor<2x6xf32>) -> tensor<2x3xf32>
  func.return
}

// -----

// CHECK: 'tile.mvm'
func.func @not_a_crossbar(%x: tensor<2x6xf32>) {
  %1 = "tile.mvm"(%x, %x) : (tensor<2x6xf32>, tensor<2x6xf32>) -> tensor<2x6xf32>
  func.return
}

// -----

// CHECK: 'tile.window' {{.*}}im2col must yield [P, 9], got (64, 8)
func.func @im2col(%x: tensor<1x1x8x8xf32>) {
  %0 = tile.window(%x) kind = im2col, kernel = [3, 3], strides = [1, 1], dilations = [1, 1], low = [1, 1], high = [1, 1] : (tensor<1x1x8x8xf32>) -> tensor<64x8xf32>
  func.return
}

// -----

// CHECK: 'tile.window' {{.*}}dot weights (2, 2, 3) do not match 2 channels in 2 groups
func.func @dot(%x: tensor<1x2x8xf32>, %w: tensor<2x2x3xf32>) {
  %0 = tile.window(%x, %w) kind = dot, kernel = [3], strides = [1], dilations = [1], low = [0], high = [0], groups = 2 : (tensor<1x2x8xf32>, tensor<2x2x3xf32>) -> tensor<1x2x6xf32>
  func.return
}
