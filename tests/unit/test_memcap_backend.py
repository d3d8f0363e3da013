"""From the tile level to a running program: results, order, hostile programs."""

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semc.backends.memcap.decode import decode_program
from semc.backends.memcap.emit import emit_program, instructions_of
from semc.backends.memcap.isa import RECORD, Opcode
from semc.backends.program import Program, load_program
from semc.backends.tables import BufferEntry, decode_names
from semc.backends.targets.slicing import mean_level, split_slices
from semc.compiler.placement.issue import EventOrder, StackGuard
from semc.dialects import analog
from semc.errors import InputError, IRError, ProgramError
from semc.runtime.execute.arena import Arena, used_bytes
from semc.runtime.execute.interleave import interleave
from semc.runtime.execute.memcap import MemcapExecutor
from semc.runtime.timing.memcap import time_program

from .memcap_programs import (
    CHAIN,
    TO_ANALOG,
    TWO_LAYERS,
    chain_weights,
    compiled,
    demo_target,
    fc_weights,
    lowered,
    stored,
)

QUANTIZED = "quantize-matrices{target=memcap-demo}," + TO_ANALOG


def sample(shape: Sequence[int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def chain_reference(x: np.ndarray) -> dict[str, np.ndarray]:
    w = chain_weights()
    one = x @ w["a"]
    four = one @ w["b"] @ w["a"] @ w["b"]
    return {"output0": four.reshape(-1), "output1": one + w["c"], "one": one, "four": four}


def at_random(seed: int) -> Callable[[Sequence[int]], int]:
    return random.Random(seed).choice


# results


def test_a_saved_program_computes_the_matrix_product(tmp_path: Path) -> None:
    compiled(TWO_LAYERS, fc_weights()).save(tmp_path / "p.semc")
    x = sample((2, 200))
    result = MemcapExecutor(load_program(tmp_path / "p.semc")).run({"input0": x})
    np.testing.assert_allclose(result["output0"], -(x @ fc_weights()["fc"][0]), atol=1e-4)


def test_the_analog_level_runs_without_a_file() -> None:
    store = stored(chain_weights())
    executor = MemcapExecutor(instructions_of(lowered(CHAIN, store), store))
    x = sample((2, 3, 8))
    expected = chain_reference(x)
    for name, value in executor.run({"input0": x}).items():
        np.testing.assert_allclose(value, expected[name], atol=1e-5)


def test_runs_do_not_disturb_each_other() -> None:
    executor = MemcapExecutor(compiled(CHAIN, chain_weights()))
    for seed in range(3):
        x = sample((2, 3, 8), seed)
        result = executor.run({"input0": x})
        np.testing.assert_allclose(result["output0"], chain_reference(x)["output0"], atol=1e-5)


@pytest.mark.parametrize(
    ("text", "arrays", "shape"),
    [(CHAIN, chain_weights(), (2, 3, 8)), (TWO_LAYERS, fc_weights(), (2, 200))],
    ids=["chain", "two-layers"],
)
@pytest.mark.parametrize("seed", range(12))
def test_waits_make_every_interleaving_right(
    text: str, arrays: dict[str, np.ndarray], shape: tuple[int, ...], seed: int
) -> None:
    program = compiled(text, arrays)
    x = sample(shape, seed)
    expected = MemcapExecutor(program).run({"input0": x})
    mixed = MemcapExecutor(program, choose=at_random(seed)).run({"input0": x})
    for name, value in expected.items():
        np.testing.assert_array_equal(mixed[name], value)


def test_without_waits_some_interleaving_is_wrong() -> None:
    """The test above can fail: bytes are shared, so the order matters."""
    program = compiled(CHAIN, chain_weights())
    raw = np.array(program.tensors["isa.instructions"])
    records = raw.view(RECORD).reshape(-1)
    records["d"][records["opcode"] == Opcode.SYNC] = 0
    loose = Program(program.manifest, {**program.tensors, "isa.instructions": raw})
    x = sample((2, 3, 8))
    expected = MemcapExecutor(program).run({"input0": x})["output0"]
    results = [MemcapExecutor(loose, choose=at_random(s)).run({"input0": x}) for s in range(8)]
    assert any(not np.array_equal(r["output0"], expected) for r in results)


def test_quantized_and_noisy_modes_follow_the_exact_result() -> None:
    program = compiled(CHAIN, chain_weights(), QUANTIZED)
    x = sample((2, 3, 8))
    exact = MemcapExecutor(program).run({"input0": x})["output0"]
    quantized = MemcapExecutor(program, "quantized").run({"input0": x})["output0"]
    noisy = MemcapExecutor(program, "noisy", seed=1)
    first, second = (noisy.run({"input0": x})["output0"] for _ in range(2))
    again = MemcapExecutor(program, "noisy", seed=1).run({"input0": x})["output0"]
    other = MemcapExecutor(program, "noisy", seed=2).run({"input0": x})["output0"]
    spread = np.abs(exact).max()
    assert 0 < np.abs(quantized - exact).max() < 0.1 * spread
    assert 0 < np.abs(first - quantized).max() < 0.5 * spread
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, other)


def test_a_matrix_in_two_layers_gives_what_one_layer_gives_when_quantized() -> None:
    arrays = {"fc": np.round(sample((1, 200, 16)) * 40) / 64}
    together = TWO_LAYERS.replace("[1, 0, 0, 0, 0]", "[0, 0, 1, 0, 0]")
    x = sample((2, 200), 4)
    split, whole = (
        MemcapExecutor(compiled(text, arrays, QUANTIZED), "quantized").run({"input0": x})["output0"]
        for text in (TWO_LAYERS, together)
    )
    np.testing.assert_allclose(split, whole, rtol=1e-5, atol=1e-6)


def test_double_precision_stays_double_in_exact_mode() -> None:
    text = TWO_LAYERS.replace("f32", "f64")
    arrays = {"fc": np.random.default_rng(0).standard_normal((1, 200, 16))}
    x = np.random.default_rng(1).standard_normal((2, 200))
    result = MemcapExecutor(compiled(text, arrays)).run({"input0": x})["output0"]
    np.testing.assert_allclose(result, -(x @ arrays["fc"][0]), rtol=1e-12)


def test_named_values_are_seen_once_when_complete() -> None:
    seen: list[tuple[str, np.ndarray]] = []
    x = sample((2, 3, 8))
    executor = MemcapExecutor(compiled(CHAIN, chain_weights()))
    executor.run({"input0": x}, lambda name, array: seen.append((name, array.copy())))
    assert sorted(name for name, _ in seen) == ["flat", "four", "one"]
    expected = chain_reference(x)
    values = dict(seen)
    np.testing.assert_allclose(values["one"], expected["one"], atol=1e-5)
    np.testing.assert_allclose(values["four"], expected["four"], atol=1e-5)
    np.testing.assert_array_equal(values["flat"], values["four"].reshape(-1))


def test_statistics_are_the_mean_square_of_normalised_inputs() -> None:
    executor = MemcapExecutor(compiled(TWO_LAYERS, fc_weights()))
    xs = [sample((2, 200), 1), np.zeros((2, 200), np.float32)]
    for x in xs:
        executor.run({"input0": x})
    unit = xs[0] / np.abs(xs[0]).max(axis=1, keepdims=True)
    assert executor.mean_squares == {0: pytest.approx(float((unit**2).mean()) / 2, rel=1e-5)}


def test_stored_levels_set_the_energy_of_the_rows() -> None:
    program = compiled(TWO_LAYERS, fc_weights(), QUANTIZED)
    executor = MemcapExecutor(program, "quantized")
    assert executor.mean_levels == {}  # nothing was read yet
    executor.run({"input0": sample((2, 200), 1)})
    codes = program.tensors[executor.program.matrices[0].codes]
    level = float(np.abs(split_slices(codes, demo_target())).mean())
    assert executor.mean_levels == {0: pytest.approx(level, rel=1e-6)}
    assert 0 < level < 15
    array_j = [
        time_program(executor.program, mean_level=levels).parts_j["array"]
        for levels in ({0: 0.0}, {0: level}, {0: 7.5}, None)
    ]
    assert array_j[2] == array_j[3]  # uniform levels are assumed
    assert array_j[1] == pytest.approx(
        array_j[0] + (array_j[2] - array_j[0]) * level / 7.5, rel=1e-9
    )


def test_mean_level_counts_in_pieces() -> None:
    codes = np.random.default_rng(3).integers(-127, 128, (3, 5, 100_003), dtype=np.int8)
    expected = np.abs(split_slices(codes, demo_target())).mean(dtype=np.float64)
    assert mean_level(codes, demo_target()) == pytest.approx(expected, rel=1e-9)
    assert mean_level(codes[:0], demo_target()) == 0.0


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"input0": np.zeros((2, 200))},
        {"input0": np.zeros((1, 200), np.float32)},
        {"input0": np.zeros((2, 200), np.float32), "more": np.zeros(1)},
    ],
)
def test_inputs_must_fit(inputs: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError):
        MemcapExecutor(compiled(TWO_LAYERS, fc_weights())).run(inputs)


def host_text(model: bytes) -> str:
    """The host runs ``model``, the vector engine selects by a literal mask."""
    return f"""
func.func @main(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {{
  %h = tile.host(%x) model = dense<"0x{model.hex()}"> : tensor<{len(model)}xi8>
    : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %mask = graph.constant dense<[true, false, true]> : tensor<3xi1>
  %y = tile.map(%mask, %h, %x)
    : (tensor<3xi1>, tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32> {{
  ^bb0(%c: i1, %a: f32, %b: f32):
    %s = arith.select %c, %a, %b : f32
    tile.yield %s : f32
  }}
  func.return %y : tensor<2x3xf32>
}}
"""


def test_the_host_and_literal_constants_take_part(model: Callable[..., bytes]) -> None:
    x = sample((2, 3))
    program = compiled(host_text(model("Floor", [x])), {})
    result = MemcapExecutor(program).run({"input0": x})["output0"]
    np.testing.assert_array_equal(result, np.where([True, False, True], np.floor(x), x))
    decoded = decode_program(program)
    assert {s.unit for s in decoded.blocks[0]} == {"vector", "dma", "host"}


def test_a_host_node_of_another_type_is_refused(model: Callable[..., bytes]) -> None:
    x = sample((2, 3))
    program = compiled(host_text(model("Transpose", [x])), {})
    with pytest.raises(ProgramError, match=r"must give float32\[2, 3\], gave float32\[3, 2\]"):
        MemcapExecutor(program).run({"input0": x})


# what is stored


def test_programs_are_deterministic(tmp_path: Path) -> None:
    for name in ("a", "b"):
        compiled(CHAIN, chain_weights(), QUANTIZED).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_program_without_weights_cannot_be_executed() -> None:
    store = stored({})
    for name, array in chain_weights().items():
        store.absent(name, array.shape, array.dtype)
    program = emit_program(lowered(CHAIN, store), store, demo_target())
    assert not [n for n in program.tensors if n.startswith(("weights", "codes", "constant."))]
    with pytest.raises(ProgramError, match="does not hold"):
        MemcapExecutor(program)
    assert [len(streams) for streams in decode_program(program).blocks] == [5]


def test_exact_weights_can_be_left_out() -> None:
    store = stored(chain_weights())
    module = lowered(CHAIN, store, QUANTIZED)
    program = emit_program(module, store, demo_target(), {"stats": {"n": 1}}, exact_weights=False)
    assert program.manifest["stats"] == {"n": 1}
    MemcapExecutor(program, "quantized").run({"input0": sample((2, 3, 8))})
    with pytest.raises(ProgramError, match="exact mode needs the weights"):
        MemcapExecutor(program)
    with pytest.raises(ProgramError, match="noisy mode needs weight codes"):
        MemcapExecutor(compiled(CHAIN, chain_weights()), "noisy")


def test_the_manifest_names_ports_by_buffer() -> None:
    program = compiled(CHAIN, chain_weights())
    assert [p["name"] for p in program.manifest["inputs"]] == ["input0"]
    assert [p["name"] for p in program.manifest["outputs"]] == ["output0", "output1"]
    decoded = decode_program(program)
    assert decoded.inputs[0].shape == (2, 3, 8)
    assert decoded.buffers[decoded.outputs[0].buffer].shape == (48,)


def test_other_levels_are_refused() -> None:
    store = stored(fc_weights())
    module = lowered(TWO_LAYERS, store, "convert-tile-to-place{target=memcap-demo}")
    with pytest.raises(IRError, match="not of the analog level"):
        emit_program(module, store, demo_target())
    with pytest.raises(IRError, match=r"one place\.machine of kind memcap"):
        lowered(TWO_LAYERS, store, "convert-place-to-analog")


# order


def syncs_of(text: str, arrays: dict[str, np.ndarray]) -> dict[str, list[list[int]]]:
    module = lowered(text, stored(arrays))
    return {
        c.unit.data: [list(op.events.get_values()) for op in c.body.block.ops
                      if isinstance(op, analog.SyncOp)]
        for c in module.walk()
        if isinstance(c, analog.ControllerOp)
    }  # fmt: skip


def test_layers_of_one_stack_wait_for_each_other() -> None:
    one_stack = syncs_of(TWO_LAYERS, fc_weights())
    assert one_stack == {"layer0": [[0]], "layer1": [[3], [4]], "vector": [[8]], "dma": [[9]]}
    # In another stack the second layer only waits for the input and for the first sums.
    apart = syncs_of(TWO_LAYERS.replace("[1, 0, 0, 0, 0]", "[1, 0, 1, 0, 0]"), fc_weights())
    assert apart["layer1"] == [[0], [4]]


def test_waits_imply_what_the_awaited_had_waited_for() -> None:
    order = EventOrder(3)
    a = order.issue(0)
    assert order.waits(1, {a}) == [a]
    b = order.issue(1)
    assert order.waits(2, {a, b}) == [b]
    c = order.issue(2)
    assert order.waits(2, {a, b, c}) == []
    assert order.waits(0, {a}) == []
    later = order.issue(0)
    assert order.waits(2, {later, a}) == [later]


def test_at_most_the_allowed_layers_of_a_stack_work_together() -> None:
    rng = np.random.default_rng(0)
    layers, stacks, active = 6, 5, 2
    guard = StackGuard(stacks, layers, active)
    work: list[tuple[int, np.ndarray, set[int]]] = []
    for event in range(120):
        layer = int(rng.integers(layers))
        where = np.flatnonzero(rng.random(stacks) < 0.5)
        work.append((layer, where, guard.enter(where, layer)))
        guard.leave(layer, event)
    after: list[set[int]] = []
    for event, (layer, _, waits) in enumerate(work):
        earlier = {e for e in range(event) if work[e][0] == layer} | waits
        after.append(earlier.union(*(after[e] for e in earlier)))
    for stack in range(stacks):
        uses = [e for e, (_, where, _) in enumerate(work) if stack in where]
        for event in uses:
            free = [e for e in uses if e < event and e not in after[event]]
            # Work that may run together with `event`, and pairwise with each other.
            together = [e for e in free if all(e not in after[f] for f in free)]
            assert len(together) < active
    assert StackGuard(stacks, layers, layers).enter(np.arange(5), 0) == set()


def test_an_array_does_one_thing_at_a_time_for_all_sequencers() -> None:
    guard = StackGuard(4, layers=2, active=2, several=True)
    assert guard.enter(np.array([0, 1]), 0) == set()
    guard.leave(0, 7)
    assert guard.enter(np.array([2, 3]), 0) == set()
    guard.leave(0, 8)
    assert guard.enter(np.array([0, 1, 2]), 1) == set()  # another layer, another array
    guard.leave(1, 9)
    assert guard.enter(np.array([1, 2]), 0) == {7, 8}


def test_waiting_in_a_circle_is_reported() -> None:
    program = compiled(TWO_LAYERS, fc_weights())
    pool = np.array(program.tensors["isa.operands"])
    pool[0] = 10  # the first product waits for the last move
    circle = Program(program.manifest, {**program.tensors, "isa.operands": pool})
    with pytest.raises(ProgramError, match="must not wait for each other: layer0 for events"):
        MemcapExecutor(circle)


def test_an_order_holds_every_instruction_once() -> None:
    decoded = decode_program(compiled(CHAIN, chain_weights()))
    for choose in (None, at_random(1)):
        order = interleave(decoded.blocks[0], choose)
        assert sorted(i.event for _, i in order) == list(range(decoded.events[0]))


# hostile programs


def changed(program: Program, section: str, position: Any, value: Any) -> Program:
    array = np.array(program.tensors[section])
    array[position] = value
    return Program(program.manifest, {**program.tensors, section: array})


FLAT = -99  # stands for a buffer of another shape than its place needs


def flat_buffer(program: Program) -> int:
    shapes = [buffer.shape for buffer in decode_program(program).buffers]
    return shapes.index((48,))


def record_of(program: Program, opcode: Opcode) -> int:
    records = np.array(program.tensors["isa.instructions"]).view(RECORD).reshape(-1)
    return int(np.flatnonzero(records["opcode"] == opcode)[0])


@pytest.mark.parametrize(
    ("opcode", "field", "value"),
    [
        (Opcode.DRIVE, "a", 9), (Opcode.DRIVE, "a", -1), (Opcode.DRIVE, "b", 99),
        (Opcode.DRIVE, "b", FLAT), (Opcode.DRIVE, "c", -1), (Opcode.DRIVE, "d", 50),
        (Opcode.DRIVE, "d", 0), (Opcode.DRIVE, "opcode", 3), (Opcode.CONVERT, "event", 0),
        (Opcode.CONVERT, "event", 10**6), (Opcode.ACCUMULATE, "node", 10**6),
        (Opcode.MOVE, "c", FLAT), (Opcode.MOVE, "b", -2), (Opcode.VECTOR, "a", 5),
        (Opcode.VECTOR, "e", 0), (Opcode.VECTOR, "e", 10**6), (Opcode.VECTOR, "opcode", 8),
        (Opcode.HALT, "opcode", 0), (Opcode.SYNC, "opcode", 9),
    ],
)  # fmt: skip
def test_instructions_that_break_a_rule_are_refused(opcode: Opcode, field: str, value: int) -> None:
    program = compiled(CHAIN, chain_weights())
    value = flat_buffer(program) if value == FLAT else value
    raw = np.array(program.tensors["isa.instructions"])
    raw.view(RECORD).reshape(-1)[record_of(program, opcode)][field] = value
    hostile = Program(program.manifest, {**program.tensors, "isa.instructions": raw})
    with pytest.raises(ProgramError) as caught:
        MemcapExecutor(hostile).run({"input0": sample((2, 3, 8))})
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("section", "position", "value"),
    [
        ("tiles.sites", (0, 0), 99), ("tiles.sites", (0, 3), 125), ("tiles.sites", (0, 4), -1),
        ("tiles.table", (0, 2), 9), ("tiles.table", (1, 0), 7), ("tiles.routes", (0, 3), 2),
        ("tiles.routes", (0, 0), -2), ("tiles.routes", (0, 2), 9), ("tiles.routes", (0, 0), 0),
        ("matrices.table", (0, 0), 0), ("matrices.table", (0, 1), 2**40),
        ("matrices.table", (0, 4), 77), ("matrices.table", (0, 5), 77),
        ("matrices.table", (0, 6), 77), ("matrices.table", (0, 9), 77),
        ("matrices.table", (0, 10), 77), ("matrices.table", (0, 11), 0),
        ("matrices.table", (0, 11), 9), ("buffers.table", (0, 1), -8),
        ("buffers.table", (0, 1), 2**50), ("buffers.table", (0, 2), 40),
        ("buffers.table", (0, 3), 5), ("buffers.table", (0, 4), 10**6),
        ("buffers.table", (0, 0), 0), ("buffers.table", (0, 6), 0), ("buffers.dims", 0, -2),
        ("buffers.dims", 0, 2**40), ("constants.table", (0, 0), 99),
        ("constants.table", (0, 1), 99), ("constants.table", (0, 1), -2),
        ("names.starts", 1, 10**6), ("names.starts", 0, 1), ("names.bytes", 0, 255),
    ],
)  # fmt: skip
def test_tables_that_break_a_rule_are_refused(section: str, position: Any, value: int) -> None:
    hostile = changed(compiled(CHAIN, chain_weights()), section, position, value)
    with pytest.raises(ProgramError) as caught:
        decode_program(hostile)
    assert len(str(caught.value).splitlines()) == 1


def test_every_section_is_needed() -> None:
    program = compiled(CHAIN, chain_weights())
    for name in program.tensors:
        rest = {k: v for k, v in program.tensors.items() if k != name}
        with pytest.raises(ProgramError, match=name.replace(".", r"\.")):
            decode_program(Program(program.manifest, rest))


def test_ports_must_have_the_type_of_their_buffer() -> None:
    program = compiled(CHAIN, chain_weights())
    port = {"name": "x", "shape": [2], "dtype": "f32", "buffer": 0}
    for wrong in (port, port | {"buffer": 99}, port | {"dtype": "f99"}):
        manifest = program.manifest | {"inputs": [wrong]}
        with pytest.raises(ProgramError, match="type of its buffer"):
            decode_program(Program(manifest, dict(program.tensors)))


# memories


def test_views_share_the_memory_and_stay_inside() -> None:
    f32, i1 = np.dtype(np.float32), np.dtype(np.bool_)
    whole = BufferEntry("sram", 64, f32, (2, 3))
    part = BufferEntry("sram", 76, f32, (3,), source=0)
    flag = BufferEntry("host", 3, i1, ())
    buffers = [whole, part, flag]
    assert used_bytes(buffers) == {"sram": 88, "host": 4}
    arena = Arena(used_bytes(buffers))
    assert arena.nbytes == 92
    arena.view(whole)[...] = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(arena.view(part), [3, 4, 5])
    assert arena.view(flag).shape == ()
    for outside in (
        BufferEntry("sram", 80, f32, (3,)),
        BufferEntry("sram", -4, f32, (1,)),
        BufferEntry("rom", 0, f32, (1,)),
    ):
        with pytest.raises(ProgramError, match="must lie in"):
            arena.view(outside)


def test_names_are_kept_with_their_spelling() -> None:
    program = compiled(CHAIN, chain_weights())
    assert {"one", "four", "flat", "sram", "host", "layer0"} <= set(decode_names(program.tensors))
