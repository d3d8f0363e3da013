// RUN: semc opt %s --split-input-file --verify-diagnostics | filecheck %s
// RUN: not semc opt %s --split-input-file 2>&1 | filecheck %s --check-prefix=FIRST

// Positions count from the top of the file, whichever part is wrong.
// FIRST: error: {{.*}}diagnostics.mlir:8:3: 'arith.addf' operand 'lhs'
func.func @wrong_type(%a: i32) {
  // CHECK: error: {{.*}}diagnostics.mlir:8:3: 'arith.addf'
  %0 = "arith.addf"(%a, %a) : (i32, i32) -> i32
  func.return
}

// -----

// CHECK: func.func private @fine() -> ()
func.func private @fine()

// -----

// CHECK: error: {{.*}}diagnostics.mlir:21:{{.*}}nowhere.op
func.func @unknown_operation() {
  "nowhere.op"() : () -> ()
}

// -----

// Both operations of this part are named.
// CHECK: error: {{.*}}diagnostics.mlir:30:3: 'arith.addf'
// CHECK-NEXT: error: {{.*}}diagnostics.mlir:31:3: 'arith.mulf'
func.func @two_faults(%a: i32) {
  %0 = "arith.addf"(%a, %a) : (i32, i32) -> i32
  %1 = "arith.mulf"(%a, %a) : (i32, i32) -> i32
  func.return
}
