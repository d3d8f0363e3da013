// RUN: semc opt %s --split-input-file -p "replicate-matrices{target=memcap-demo}" | filecheck %s
// RUN: semc opt %s --split-input-file -p "replicate-matrices{target=memcap-demo most=3},place-tiles{target=memcap-demo}" | filecheck %s --check-prefix=MOST

// 16 positions through one tile: every copy has the tables of the tile, and an array of its own.
// CHECK-LABEL: func.func @many
// CHECK:       tile.program <"w"> adc_range dense<[[RANGES:.*]]> : tensor<[[N:[0-9]+]]xf32> copy dense<[0, 1, 2, 3
// CHECK-SAME:  tiles dense<{{\[\[}}0, 0, 64, 0, 10], [0, 0, 64, 0, 10], {{.*}}tensor<[[N]]x5xi32>
// MOST-LABEL:  func.func @many
// MOST:        copy dense<[0, 1, 2]> : tensor<3xi32> tiles
// MOST-SAME:   sites = dense<{{\[\[}}0, 2, 1, 0, 0], [0, 2, 2, 0, 0], [0, 1, 2, 0, 0]]>
func.func @many(%x: tensor<16x64xf32>) -> tensor<16x10xf32> {
  %w = tile.program <"w"> adc_range dense<[2.0]> : tensor<1xf32> tiles dense<[[0, 0, 64, 0, 10]]> : tensor<1x5xi32> : !tile.crossbar<1x64x10>
  %y = tile.mvm %w, %x : (!tile.crossbar<1x64x10>, tensor<16x64xf32>) -> tensor<16x10xf32>
  func.return %y : tensor<16x10xf32>
}

// -----

// One position: nothing to share.
// CHECK-LABEL: func.func @one
// CHECK:       tile.program <"w"> tiles dense<{{\[\[}}0, 0, 64, 0, 10]]> : tensor<1x5xi32>
func.func @one(%x: tensor<1x64xf32>) -> tensor<1x10xf32> {
  %w = tile.program <"w"> tiles dense<[[0, 0, 64, 0, 10]]> : tensor<1x5xi32> : !tile.crossbar<1x64x10>
  %y = tile.mvm %w, %x : (!tile.crossbar<1x64x10>, tensor<1x64xf32>) -> tensor<1x10xf32>
  func.return %y : tensor<1x10xf32>
}

// -----

// A chip that is full has no room for copies.
// CHECK-LABEL: func.func @full
// CHECK-NOT:   copy dense
// CHECK:       return
func.func @full(%x: tensor<16x8192xf32>) -> tensor<16x32xf32> {
  %w = tile.program <"w"> tiles dense<[[0, 0, 128, 0, 32], [0, 128, 128, 0, 32], [0, 256, 128, 0, 32], [0, 384, 128, 0, 32], [0, 512, 128, 0, 32], [0, 640, 128, 0, 32], [0, 768, 128, 0, 32], [0, 896, 128, 0, 32], [0, 1024, 128, 0, 32], [0, 1152, 128, 0, 32], [0, 1280, 128, 0, 32], [0, 1408, 128, 0, 32], [0, 1536, 128, 0, 32], [0, 1664, 128, 0, 32], [0, 1792, 128, 0, 32], [0, 1920, 128, 0, 32], [0, 2048, 128, 0, 32], [0, 2176, 128, 0, 32], [0, 2304, 128, 0, 32], [0, 2432, 128, 0, 32], [0, 2560, 128, 0, 32], [0, 2688, 128, 0, 32], [0, 2816, 128, 0, 32], [0, 2944, 128, 0, 32], [0, 3072, 128, 0, 32], [0, 3200, 128, 0, 32], [0, 3328, 128, 0, 32], [0, 3456, 128, 0, 32], [0, 3584, 128, 0, 32], [0, 3712, 128, 0, 32], [0, 3840, 128, 0, 32], [0, 3968, 128, 0, 32], [0, 4096, 128, 0, 32], [0, 4224, 128, 0, 32], [0, 4352, 128, 0, 32], [0, 4480, 128, 0, 32], [0, 4608, 128, 0, 32], [0, 4736, 128, 0, 32], [0, 4864, 128, 0, 32], [0, 4992, 128, 0, 32], [0, 5120, 128, 0, 32], [0, 5248, 128, 0, 32], [0, 5376, 128, 0, 32], [0, 5504, 128, 0, 32], [0, 5632, 128, 0, 32], [0, 5760, 128, 0, 32], [0, 5888, 128, 0, 32], [0, 6016, 128, 0, 32], [0, 6144, 128, 0, 32], [0, 6272, 128, 0, 32], [0, 6400, 128, 0, 32], [0, 6528, 128, 0, 32], [0, 6656, 128, 0, 32], [0, 6784, 128, 0, 32], [0, 6912, 128, 0, 32], [0, 7040, 128, 0, 32], [0, 7168, 128, 0, 32], [0, 7296, 128, 0, 32], [0, 7424, 128, 0, 32], [0, 7552, 128, 0, 32], [0, 7680, 128, 0, 32], [0, 7808, 128, 0, 32], [0, 7936, 128, 0, 32], [0, 8064, 128, 0, 32]]> : tensor<64x5xi32> : !tile.crossbar<1x8192x32>
  %y = tile.mvm %w, %x : (!tile.crossbar<1x8192x32>, tensor<16x8192xf32>) -> tensor<16x32xf32>
  func.return %y : tensor<16x32xf32>
}
