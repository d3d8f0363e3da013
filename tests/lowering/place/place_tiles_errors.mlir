// RUN: semc opt %s --split-input-file --verify-diagnostics -p "cut-tiles{rows=128 weight_cols=32},place-tiles{target=memcap-demo}" | filecheck %s

// CHECK: the model needs 65 arrays (5 layers) for 266,240 parameters; memcap-demo has 64 arrays (4 layers) for at most 262,144
// CHECK-SAME: use a target with stack.layers = 5; or split the model over 2 chips
func.func @main() {
  %a = tile.program <"a"> : !tile.crossbar<1x8320x32>
  func.return
}
