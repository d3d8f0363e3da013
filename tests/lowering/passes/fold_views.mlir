// RUN: semc opt %s -p fold-views | filecheck %s

// Transposed twice is where it was.
// CHECK-LABEL: func.func @back_and_forth
// CHECK-NEXT: func.return %x
func.func @back_and_forth(%x: tensor<4x6xf32>) -> tensor<4x6xf32> {
  %0 = tile.view(%x) strides = [1, 6] : (tensor<4x6xf32>) -> tensor<6x4xf32>
  %1 = tile.view(%0) strides = [1, 4] : (tensor<6x4xf32>) -> tensor<4x6xf32>
  func.return %1 : tensor<4x6xf32>
}

// Slice, flip and expand in one step, the offset in elements of %x.
// CHECK-LABEL: func.func @slice_flip_expand
// CHECK-NEXT: tile.view(%x) offset = 17, strides = [0, 6, -1] {value = "v"} : (tensor<4x6xf32>) -> tensor<3x2x4xf32>
func.func @slice_flip_expand(%x: tensor<4x6xf32>) -> tensor<3x2x4xf32> {
  %0 = tile.view(%x) offset = 14, strides = [6, 1] : (tensor<4x6xf32>) -> tensor<2x4xf32>
  %1 = tile.view(%0) offset = 3, strides = [4, -1] : (tensor<2x4xf32>) -> tensor<2x4xf32>
  %2 = tile.view(%1) strides = [0, 4, 1] {value = "v"} : (tensor<2x4xf32>) -> tensor<3x2x4xf32>
  func.return %2 : tensor<3x2x4xf32>
}

// Heads of an attention: split and transpose.
// CHECK-LABEL: func.func @heads
// CHECK-NEXT: tile.view(%x) strides = [96, 8, 32, 1] : (tensor<2x3x32xf32>) -> tensor<2x4x3x8xf32>
func.func @heads(%x: tensor<2x3x32xf32>) -> tensor<2x4x3x8xf32> {
  %0 = tile.view(%x) strides = [96, 32, 8, 1] : (tensor<2x3x32xf32>) -> tensor<2x3x4x8xf32>
  %1 = tile.view(%0) strides = [96, 8, 32, 1] : (tensor<2x3x4x8xf32>) -> tensor<2x4x3x8xf32>
  func.return %1 : tensor<2x4x3x8xf32>
}

// A transpose that is flattened has no one stride.
// CHECK-LABEL: func.func @flattened
// CHECK-NEXT: tile.view(%x) strides = [1, 6]
// CHECK-NEXT: tile.view(%{{.*}}) strides = [1]
func.func @flattened(%x: tensor<4x6xf32>) -> tensor<24xf32> {
  %0 = tile.view(%x) strides = [1, 6] : (tensor<4x6xf32>) -> tensor<6x4xf32>
  %1 = tile.view(%0) strides = [1] : (tensor<6x4xf32>) -> tensor<24xf32>
  func.return %1 : tensor<24xf32>
}

// A view that others read stays for them.
// CHECK-LABEL: func.func @shared
// CHECK-NEXT: %[[T:.*]] = graph.view(%x) strides = [1, 6]
// CHECK-NEXT: graph.view(%x) strides = [6]
// CHECK-NEXT: func.return %[[T]]
func.func @shared(%x: tensor<4x6xf32>) -> (tensor<6x4xf32>, tensor<4xf32>) {
  %0 = graph.view(%x) strides = [1, 6] : (tensor<4x6xf32>) -> tensor<6x4xf32>
  %1 = graph.view(%0) strides = [1] : (tensor<6x4xf32>) -> tensor<4xf32>
  func.return %0, %1 : tensor<6x4xf32>, tensor<4xf32>
}

// The name of an identity goes to the op before it.
// CHECK-LABEL: func.func @identity
// CHECK-NEXT: tile.reduce(%x) {{.*}} {value = "squeezed"}
// CHECK-NEXT: func.return
func.func @identity(%x: tensor<4x6xf32>) -> tensor<4xf32> {
  %0 = tile.reduce(%x) kind = sum, axes = [1] : (tensor<4x6xf32>) -> tensor<4xf32>
  %1 = tile.view(%0) strides = [1] {value = "squeezed"} : (tensor<4xf32>) -> tensor<4xf32>
  func.return %1 : tensor<4xf32>
}
