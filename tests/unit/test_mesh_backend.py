"""A mesh program from the tile level to numbers: every kind of device, both modes, damage."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from xdsl.dialects import func
from xdsl.dialects.builtin import StringAttr, UnitAttr

from semc.backends.pal.decode import decode_program
from semc.backends.pal.emit import emit_program
from semc.backends.pal.list_tasks import list_tasks
from semc.backends.pal.openpal import encode, matmul, matmul_exact, round_to
from semc.backends.program import Program, load_program
from semc.backends.targets import MeshTarget, target_from_dict, target_to_dict
from semc.backends.targets.load import load_target
from semc.compiler.context import new_context
from semc.compiler.parse import parse_module
from semc.compiler.passes import convert_place_to_pal, convert_tile_to_place
from semc.compiler.pipeline import run_passes
from semc.compiler.weights import WeightStore
from semc.dialects import tile
from semc.dialects.types import tensor_type
from semc.errors import CapacityError, InputError, ProgramError
from semc.runtime.execute.mesh import MeshExecutor
from semc.runtime.execute.pal import round_values

Array = NDArray[Any]
RNG = np.random.default_rng(7)
X = RNG.normal(size=(16, 96)).astype(np.float32)
W = (RNG.normal(size=(1, 96, 48)) / 10).astype(np.float32)

MODEL = """
func.func @main(%x: tensor<16x96xf32>) -> (tensor<16x16xf32>, tensor<16xi64>)
    attributes {input_names = ["x"], output_names = ["scores", "best"]} {
  %m = tile.program <"w"> tiles dense<[[0, 0, 96, 0, 48]]> : tensor<1x5xi32> {unit = "UNIT"}
      : !tile.crossbar<1x96x48>
  %0 = tile.mvm %m, %x {unit = "UNIT", value = "h"}
      : (!tile.crossbar<1x96x48>, tensor<16x96xf32>) -> tensor<16x48xf32>
  %1 = tile.map(%0) {unit = "UNIT", value = "r"} : (tensor<16x48xf32>) -> tensor<16x48xf32> {
  ^bb0(%a: f32):
    %c = arith.constant 0.0 : f32
    %r = arith.maximumf %a, %c : f32
    tile.yield %r : f32
  }
  %2 = tile.view(%1) strides = [1, 48] {unit = "UNIT"}
      : (tensor<16x48xf32>) -> tensor<48x16xf32>
  %3 = tile.contract(%0, %2) {unit = "UNIT", value = "s"}
      : (tensor<16x48xf32>, tensor<48x16xf32>) -> tensor<16x16xf32>
  %4 = tile.reduce(%3) kind = argmax, axes = [1] {unit = "UNIT"}
      : (tensor<16x16xf32>) -> tensor<16xi64>
  func.return %3, %4 : tensor<16x16xf32>, tensor<16xi64>
}
"""


def expected(x: Array = X) -> Array:
    h = x @ W[0]
    return h @ np.maximum(h, 0).T


def weights(absent: bool = False) -> WeightStore:
    store = WeightStore()
    if absent:
        store.absent("w", W.shape, W.dtype)
    else:
        store.add("w", W)
    return store


def compile_tile(
    text: str,
    target: MeshTarget | None = None,
    store: WeightStore | None = None,
    edit: Callable[[Any], None] | None = None,
) -> Program:
    """The program of a module whose ops name their devices."""
    store = weights() if store is None else store
    ctx = new_context(store)
    module = parse_module(text, ctx, "test")
    if edit is not None:
        edit(module)
    run_passes(
        module,
        "convert-tile-to-place{target=mesh-small},check-placement,"
        "convert-place-to-pal{target=mesh-small},check-schedule",
        ctx=ctx,
    )
    found = target or load_target("mesh-small")
    assert isinstance(found, MeshTarget)
    return emit_program(module, store, found)


def sqnr_db(reference: Array, y: Array) -> float:
    noise = np.square(y.astype(np.float64) - reference).sum()
    return float(10 * np.log10(np.square(reference.astype(np.float64)).sum() / max(noise, 1e-300)))


@pytest.mark.parametrize(
    ("unit", "least_db", "most_db"),
    [("cpu0", 130, 400), ("gpu0", 45, 60), ("spu0", 36, 48)],
)
def test_numbers_of_every_device(unit: str, least_db: float, most_db: float) -> None:
    program = compile_tile(MODEL.replace("UNIT", unit))
    exact = MeshExecutor(program, "exact").run({"x": X})
    np.testing.assert_allclose(exact["scores"], expected(), rtol=1e-5, atol=1e-5)
    np.testing.assert_array_equal(exact["best"], exact["scores"].argmax(axis=1))
    quantized = MeshExecutor(program, "quantized").run({"x": X})
    assert least_db < sqnr_db(expected(), quantized["scores"]) < most_db
    np.testing.assert_array_equal(quantized["best"], quantized["scores"].argmax(axis=1))


def test_a_gpu_rounds_what_it_reads_keeps_and_sends() -> None:
    program = compile_tile(MODEL.replace("UNIT", "gpu0"))
    h = round_to(round_to(X, "bf16") @ round_to(W[0], "bf16"), "bf16")
    scores = round_to(h @ np.maximum(h, 0).T, "bf16")
    run = MeshExecutor(program, "quantized").run({"x": X})
    # Sums in another order may round one step of bf16 apart.
    np.testing.assert_allclose(run["scores"], scores, rtol=2.0**-6, atol=1e-2)
    np.testing.assert_array_equal(run["scores"], round_to(run["scores"], "bf16"))


def test_an_spu_multiplies_codes_and_keeps_pal16() -> None:
    program = compile_tile(MODEL.replace("UNIT", "spu0"))
    wide = encode(X, "pal16", -1, search=0).decode()
    h = matmul(encode(wide, "pal8", -1, search=0), encode(W[0], "pal8", 0))
    h = encode(h, "pal16", -1, search=0).decode()
    seen: dict[str, Array] = {}
    MeshExecutor(program, "quantized").run({"x": X}, lambda name, y: seen.update({name: y.copy()}))
    assert list(seen) == ["h", "r", "s"]
    # Sums in another order may round one step of pal16 apart.
    np.testing.assert_allclose(seen["h"], h, rtol=1e-3)
    # A product of two computed tensors is one of codes as well.
    left, right = encode(h, "pal8", -1, search=0), encode(np.maximum(h, 0).T, "pal8", 0, search=0)
    product = encode(matmul(left, right), "pal16", -1, search=0).decode()
    assert sqnr_db(product, seen["s"]) > 60  # the rectified values were rounded once more


def test_work_spread_over_devices_is_the_same_work() -> None:
    parts = MODEL.replace("UNIT", "spu0", 2).replace("UNIT", "gpu0", 1).replace("UNIT", "spu1", 2)
    program = compile_tile(parts.replace("UNIT", "cpu0"))
    decoded = decode_program(program)
    assert {task.device for task in decoded.tasks} == {"cpu0", "gpu0", "spu0", "spu1"}
    assert len(decoded.transfers) >= 4
    run = MeshExecutor(program, "exact").run({"x": X})
    np.testing.assert_allclose(run["scores"], expected(), rtol=1e-5, atol=1e-5)
    facts = program.manifest["stats"]["schedule"]
    assert facts["transfers"] == len(decoded.transfers)
    assert facts["makespan_s"] == pytest.approx(decoded.makespan_ps * 1e-12)


@pytest.mark.parametrize(
    ("unit", "weight_format", "least_db"),
    [
        ("spu0", "pal4", 19), ("spu0", "bf16", 36), ("gpu0", "pal8", 40), ("gpu0", "fp16", 45),
        ("cpu0", "pal6", 30),
    ],
)  # fmt: skip
def test_stationary_operands_in_a_format_of_their_own(
    unit: str, weight_format: str, least_db: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = changed_target(unit, weight_format=weight_format)
    for module in (convert_place_to_pal, convert_tile_to_place):
        monkeypatch.setattr(module, "load_target", lambda name: target)
    program = compile_tile(MODEL.replace("UNIT", unit), target)
    assert decode_program(program).weights[0].format == weight_format
    exact = MeshExecutor(program, "exact").run({"x": X})
    np.testing.assert_allclose(exact["scores"], expected(), rtol=1e-5, atol=1e-5)
    run = MeshExecutor(program, "quantized").run({"x": X})
    assert least_db < sqnr_db(expected(), run["scores"]) < 60


def changed_target(device: str, **changes: Any) -> MeshTarget:
    data = target_to_dict(load_target("mesh-small"))
    for entry in data["devices"]:
        if entry["name"] == device:
            entry.update(changes)
    target = target_from_dict(data, "changed")
    assert isinstance(target, MeshTarget)
    return target


def test_buffers_and_matrices_must_fit_the_memory_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    target = changed_target("spu0", memory_bytes=12500)
    for module in (convert_place_to_pal, convert_tile_to_place):
        monkeypatch.setattr(module, "load_target", lambda name: target)
    with pytest.raises(CapacityError, match=r"memory spu0 of 12,500 bytes must hold"):
        compile_tile(MODEL.replace("UNIT", "spu0"), target)


GROUPED = """
func.func @main(%x: tensor<3x8x40xf32>, %i: tensor<2xi64>) -> (tensor<2x8x6xf32>, tensor<2xi64>)
    attributes {input_names = ["x", "i"], output_names = ["y", "j"]} {
  %m = tile.program <"g"> tiles
      dense<[[0, 0, 40, 0, 6], [1, 0, 40, 0, 6], [2, 0, 40, 0, 6]]>
      : tensor<3x5xi32> {unit = "UNIT"}
      : !tile.crossbar<3x40x6>
  %0 = tile.mvm %m, %x {unit = "UNIT"}
      : (!tile.crossbar<3x40x6>, tensor<3x8x40xf32>) -> tensor<3x8x6xf32>
  %1 = tile.gather(%0, %i) mode = axis {unit = "UNIT"}
      : (tensor<3x8x6xf32>, tensor<2xi64>) -> tensor<2x8x6xf32>
  %2 = tile.map(%i) {unit = "UNIT"} : (tensor<2xi64>) -> tensor<2xi64> {
  ^bb0(%a: i64):
    %c = arith.constant 4503599627370497 : i64
    %r = arith.addi %a, %c : i64
    tile.yield %r : i64
  }
  func.return %1, %2 : tensor<2x8x6xf32>, tensor<2xi64>
}
"""


@pytest.mark.parametrize("unit", ["cpu0", "gpu0", "spu1"])
def test_groups_of_matrices_and_integers(unit: str) -> None:
    store = WeightStore()
    g = RNG.normal(size=(3, 40, 6)).astype(np.float32)
    store.add("g", g)
    inputs = {
        "x": RNG.normal(size=(3, 8, 40)).astype(np.float32),
        "i": np.array([2, -3], np.int64),
    }
    program = compile_tile(GROUPED.replace("UNIT", unit), store=store)
    reference = np.matmul(inputs["x"], g)[inputs["i"]]
    run = MeshExecutor(program, "exact").run(inputs)
    np.testing.assert_allclose(run["y"], reference, rtol=1e-5, atol=1e-5)
    quantized = MeshExecutor(program, "quantized").run(inputs)
    assert sqnr_db(reference, quantized["y"]) > 36
    # Beyond 2^52 no float format here would have kept these.
    np.testing.assert_array_equal(quantized["j"], inputs["i"] + 4503599627370497)


def test_the_integer_datapath_on_request() -> None:
    store = weights()
    ctx = new_context(store)
    module = parse_module(MODEL.replace("UNIT", "spu0"), ctx, "test")
    run_passes(
        module,
        "convert-tile-to-place{target=mesh-small},convert-place-to-pal{target=mesh-small}",
        ctx=ctx,
    )
    for op in module.walk():
        if op.name == "pal.matmul":
            op.properties["exact"] = UnitAttr()
    module.verify()
    program = emit_program(module, store, load_target("mesh-small"))  # type: ignore[arg-type]
    seen: dict[str, Array] = {}
    MeshExecutor(program, "quantized").run({"x": X}, lambda name, y: seen.update({name: y.copy()}))
    wide = encode(X, "pal16", -1, search=0).decode()
    bits = matmul_exact(encode(wide, "pal8", -1, search=0), encode(W[0], "pal8", 0))
    kept = encode(bits.astype(np.float32), "pal16", -1, search=0).decode()
    np.testing.assert_array_equal(seen["h"], kept)


def test_a_host_operator_runs_on_the_host(model: Callable[..., bytes]) -> None:
    node = model("Neg", [X[:, :48]])

    def insert(module: Any) -> None:
        (function,) = [op for op in module.ops if isinstance(op, func.FuncOp)]
        ops = {
            op.attributes["value"].data: op for op in function.walk() if "value" in op.attributes
        }
        host = tile.HostOp.make(
            [ops["h"].results[0]], model=node, result_types=[tensor_type((16, 48), np.float32)]
        )
        host.attributes["unit"] = StringAttr("cpu0")
        ops["r"].parent.insert_op_before(host, ops["r"])
        ops["r"].operands[0] = host.results[0]

    program = compile_tile(MODEL.replace("UNIT", "spu0"), edit=insert)
    h = X @ W[0]
    run = MeshExecutor(program, "exact").run({"x": X})
    np.testing.assert_allclose(run["scores"], h @ np.maximum(-h, 0).T, rtol=1e-4, atol=1e-4)


def test_a_fresh_process_needs_nothing_but_the_file(tmp_path: Path) -> None:
    program = compile_tile(MODEL.replace("UNIT", "spu0"))
    program.save(tmp_path / "p.semc")
    np.save(tmp_path / "x.npy", X)
    code = (
        "import sys, numpy as np, semc\n"
        "from semc.runtime.execute.mesh import MeshExecutor\n"
        "run = MeshExecutor(semc.load('p.semc'), 'quantized').run({'x': np.load('x.npy')})\n"
        "assert 'xdsl' not in sys.modules\n"
        "np.save('y.npy', run['scores'])"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    here = MeshExecutor(program, "quantized").run({"x": X})
    np.testing.assert_array_equal(np.load(tmp_path / "y.npy"), here["scores"])


def test_equal_compilations_give_equal_files(tmp_path: Path) -> None:
    for name in ("a", "b"):
        compile_tile(MODEL.replace("UNIT", "spu0")).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    loaded = load_program(tmp_path / "a")
    assert list_tasks(loaded) == list_tasks(compile_tile(MODEL.replace("UNIT", "spu0")))


def test_the_listing_names_devices_formats_and_steps() -> None:
    text = list_tasks(compile_tile(MODEL.replace("UNIT", "spu0")))
    assert "; mesh mesh-small: cpu0 (fp32), gpu0 (bf16), spu0 (pal8), spu1 (pal8)" in text
    assert "pal8 96x48xf32  w" in text
    assert "encode.pal8(b1) matmul(t2, w0) encode.pal16(t3) decode(t4) after 0" in text
    assert "spu0->cpu0" in text


def test_modes_and_inputs_that_do_not_exist() -> None:
    program = compile_tile(MODEL.replace("UNIT", "cpu0"))
    with pytest.raises(InputError, match="a mesh has no analog noise"):
        MeshExecutor(program, "noisy")
    with pytest.raises(InputError, match="the mode must be one of exact, quantized"):
        MeshExecutor(program, "fast")
    executor = MeshExecutor(program)
    with pytest.raises(InputError, match="inputs must be"):
        executor.run({"y": X})
    with pytest.raises(InputError, match=r"input must be float32\[16, 96\]"):
        executor.run({"x": X[:3]})


def test_a_program_without_weights_is_listed_and_timed_but_not_run() -> None:
    program = compile_tile(MODEL.replace("UNIT", "spu0"), store=weights(absent=True))
    assert decode_program(program).makespan_ps > 0
    assert "encode.pal8" in list_tasks(program)
    for mode in ("exact", "quantized"):
        with pytest.raises(ProgramError, match="compiled without weights"):
            MeshExecutor(program, mode)


@pytest.mark.parametrize(
    ("section", "row", "column", "value", "message"),
    [
        ("tasks.table", 1, 4, 0, "before slot .* ends"),  # start_ps
        ("tasks.table", 0, 2, 1, "uses a buffer in"),  # device
        ("tasks.table", 0, 1, 9, "slots must be numbered"),
        ("tasks.table", 0, 7, 1 << 40, "leave tasks.refs"),
        ("tasks.table", 0, 11, 99, "its steps leave steps.table"),
        ("tasks.table", 0, 0, 1, "stands in block 1"),
        ("steps.table", 0, 0, 77, "opcode 77"),
        ("steps.table", 0, 2, -1, "needs a name"),  # format
        ("steps.table", 0, 3, 2, "is no encoding"),  # axis
        ("transfers.table", 0, 2, 99, "does not exist"),
        ("transfers.table", 0, 3, 0, "must go between the memories"),
        ("weights.table", 0, 4, 99, "element type code 99"),
        ("weights.table", 0, 5, 1, "must be a matrix"),
        ("tasks.work", 0, 0, -1.0, "not negative"),
    ],
)
def test_damaged_tables_are_refused(
    section: str, row: int, column: int, value: float, message: str
) -> None:
    program = compile_tile(MODEL.replace("UNIT", "spu0"))
    tensors = {name: program.tensors[name].copy() for name in program.tensors}
    tensors[section][row, column] = value
    with pytest.raises(ProgramError, match=message):
        decode_program(Program(program.manifest, tensors))


def test_rounding_keeps_markers_and_integers() -> None:
    lowest = np.finfo(np.float32).min
    x = np.array([[1.2345678, -0.3, lowest, -np.inf, np.nan, 0.0]], np.float32)
    y = round_values(x, "pal16")
    np.testing.assert_array_equal(y[0, 2:], x[0, 2:])
    np.testing.assert_allclose(y[0, :2], x[0, :2], rtol=5e-4)
    assert (y[0, :2] != x[0, :2]).all()
    np.testing.assert_array_equal(round_values(y, "pal16"), y)
    counts = np.array([2**40 + 1])
    assert round_values(counts, "bf16") is counts
    assert round_values(x, "fp32") is x
    half = round_values(np.array(1.001, np.float16), "pal8")
    assert half.dtype == np.float16
    assert half.shape == ()
