// RUN: semc opt %s -p "cse,dce" | filecheck %s
// RUN: semc opt %s -p "cse,dce" --print-op-generic | filecheck %s --check-prefix=GENERIC
// RUN: semc opt %s -o %t
// RUN: semc opt %t -p dce --print-ir-after-all 2>&1 | filecheck %s --check-prefix=DUMP

// CHECK-LABEL: func.func @twice
// CHECK-NEXT:    %[[SUM:.*]] = arith.addf %{{.*}}, %{{.*}} : f32
// CHECK-NEXT:    %{{.*}} = arith.mulf %[[SUM]], %[[SUM]] : f32
// CHECK-NEXT:    func.return

// GENERIC: "arith.addf"(%{{.*}}, %{{.*}}) <{fastmath = #arith.fastmath<none>}> : (f32, f32) -> f32

// DUMP: IR Dump After dce
func.func @twice(%a: f32, %b: f32) -> f32 {
  %unused = arith.subf %a, %b : f32
  %first = arith.addf %a, %b : f32
  %second = arith.addf %a, %b : f32
  %product = arith.mulf %first, %second : f32
  func.return %product : f32
}
