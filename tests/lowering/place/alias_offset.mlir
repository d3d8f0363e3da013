// RUN: semc opt %s -p "convert-tile-to-place{target=memcap-demo},check-placement" | filecheck %s

// A slice of consecutive elements is a range of its source, and only that range is moved. What a
// slot reads and writes is alive together, so the small input keeps clear of the large result.
// CHECK-LABEL: func.func @slice
// CHECK: [[IN:%.*]] = place.buffer "host" at 0 port "input:x" : !place.buffer<tensor<8xf32>>
// CHECK: [[PART:%.*]] = place.alias [[IN]] at 16 : {{.*}} -> !place.buffer<tensor<4xf32>>
// CHECK: [[X:%.*]] = place.buffer "sram" at 512 : !place.buffer<tensor<4xf32>>
// CHECK: [[BIG:%.*]] = place.buffer "sram" at 0 : !place.buffer<tensor<32x4xf32>>
// CHECK: place.move [[PART]] -> [[X]] slot 0
// CHECK: place.stage "vector" slot 1 ([[X]]) -> ([[BIG]])
func.func @slice(%x: tensor<8xf32>) -> tensor<32x4xf32> attributes {input_names = ["x"], output_names = ["y"]} {
  %part = tile.view(%x) offset = 4, strides = [1] : (tensor<8xf32>) -> tensor<4xf32>
  %y = tile.view(%part) strides = [0, 1] : (tensor<4xf32>) -> tensor<32x4xf32>
  func.return %y : tensor<32x4xf32>
}
