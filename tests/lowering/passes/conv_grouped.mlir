// RUN: semc opt %s -p convert-graph-to-tile | filecheck %s
// RUN: semc opt %s -p "convert-graph-to-tile{array-rows=9 array-weight-cols=1 vector-mac-pj=10000.0}" | filecheck %s --check-prefix=SMALL
// RUN: semc opt %s -p "convert-graph-to-tile{min-array-use=0.0 vector-mac-pj=10000.0}" | filecheck %s --check-prefix=COSTLY
// RUN: semc opt %s -p "convert-graph-to-tile{min-array-use=0.9}" | filecheck %s --check-prefix=FULL

// One column for nine rows is not worth the gathering. Where multiplying costs much arrays win that
// the blocks fill, and others when empty ones do not count.
// CHECK-LABEL: func.func @depthwise
// CHECK: tile.window(%x, %w) kind = dot, kernel = [3, 3], {{.*}}groups = 8 : (tensor<1x8x8x8xf32>, tensor<8x1x3x3xf32>) -> tensor<1x8x8x8xf32>
// SMALL-LABEL: func.func @depthwise
// SMALL: %[[M:.*]] = tile.program <"d.im2col8"> : !tile.crossbar<8x9x1>
// SMALL: %[[X:.*]] = tile.window(%x) kind = im2col, {{.*}}groups = 8 : (tensor<1x8x8x8xf32>) -> tensor<8x64x9xf32>
// SMALL: %[[Y:.*]] = tile.mvm %[[M]], %[[X]] : ({{.*}}) -> tensor<8x64x1xf32>
// SMALL: tile.view(%[[Y]]) strides = [512, 64, 8, 1] : (tensor<8x64x1xf32>) -> tensor<1x8x8x8xf32>
// COSTLY-LABEL: func.func @depthwise
// COSTLY: tile.program
func.func @depthwise(%x: tensor<1x8x8x8xf32>) -> tensor<1x8x8x8xf32> {
  %w = graph.constant #graph.weight<"d"> : tensor<8x1x3x3xf32>
  %0 = graph.conv(%x, %w) strides [1, 1] dilations [1, 1] low [1, 1] high [1, 1] groups 8
    : (tensor<1x8x8x8xf32>, tensor<8x1x3x3xf32>) -> tensor<1x8x8x8xf32>
  func.return %0 : tensor<1x8x8x8xf32>
}

// Two groups of 64 x 16 fill a good part of an array. Channels and groups of the result do not
// make one stride, so that it takes two views.
// CHECK-LABEL: func.func @two_groups
// CHECK: tile.program <"g.im2col2"> : !tile.crossbar<2x64x16>
// CHECK: %[[X:.*]] = tile.view(%x) strides = [4096, 1, 64] : (tensor<1x128x8x8xf32>) -> tensor<2x64x64xf32>
// CHECK: %[[Y:.*]] = tile.mvm %{{.*}}, %[[X]] : ({{.*}}) -> tensor<2x64x16xf32>
// CHECK: %[[V:.*]] = tile.view(%[[Y]]) strides = {{.*}} -> tensor<1x2x16x8x8xf32>
// CHECK: tile.view(%[[V]]) strides = [2048, 64, 8, 1] : (tensor<1x2x16x8x8xf32>) -> tensor<1x32x8x8xf32>
// FULL-LABEL: func.func @two_groups
// FULL: kind = dot
func.func @two_groups(%x: tensor<1x128x8x8xf32>) -> tensor<1x32x8x8xf32> {
  %w = graph.constant #graph.weight<"g"> : tensor<32x64x1x1xf32>
  %0 = graph.conv(%x, %w) strides [1, 1] dilations [1, 1] low [0, 0] high [0, 0] groups 2
    : (tensor<1x128x8x8xf32>, tensor<32x64x1x1xf32>) -> tensor<1x32x8x8xf32>
  func.return %0 : tensor<1x32x8x8xf32>
}
