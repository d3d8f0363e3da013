"""Programs that write matrices while they run: results, rules, time, energy and wear."""

from dataclasses import replace

import numpy as np
import pytest

from semc.backends.memcap.decode import MemcapProgram, decode_program
from semc.backends.memcap.disassemble import assemble, disassemble
from semc.backends.memcap.isa import Instruction, Opcode, encode_streams
from semc.backends.memcap.residency import wear_of
from semc.backends.program import Program
from semc.backends.tables import Names, decode_names
from semc.backends.targets.memcap_cost import stored_bytes, write_energy_j, write_latency_s
from semc.errors import ProgramError
from semc.runtime.execute.memcap import MemcapExecutor
from semc.runtime.timing.memcap import time_program

from .memcap_programs import TO_ANALOG, compiled, demo_target

#: y = x @ a @ k @ b @ b: a and b take one array by turns, b in two rounds, and k stays.
STREAMED = """
func.func @main(%x: tensor<2x32xf32>) -> tensor<2x32xf32> {
  %a = tile.program <"a"> tiles dense<[[0, 0, 32, 0, 32]]> : tensor<1x5xi32>
    {sites = dense<[[0, 2, 2, 0, 0]]> : tensor<1x5xi32>, rounds = dense<1> : tensor<1xi32>}
    : !tile.crossbar<1x32x32>
  %b = tile.program <"b"> tiles dense<[[0, 0, 16, 0, 32], [0, 16, 16, 0, 32]]> : tensor<2x5xi32>
    {sites = dense<[[0, 2, 2, 0, 0], [0, 2, 2, 0, 0]]> : tensor<2x5xi32>,
     rounds = dense<[1, 2]> : tensor<2xi32>} : !tile.crossbar<1x32x32>
  %k = tile.program <"k"> tiles dense<[[0, 0, 32, 0, 32]]> : tensor<1x5xi32>
    {sites = dense<[[1, 2, 2, 0, 0]]> : tensor<1x5xi32>} : !tile.crossbar<1x32x32>
  %1 = tile.mvm %a, %x : (!tile.crossbar<1x32x32>, tensor<2x32xf32>) -> tensor<2x32xf32>
  %2 = tile.mvm %k, %1 : (!tile.crossbar<1x32x32>, tensor<2x32xf32>) -> tensor<2x32xf32>
  %3 = tile.mvm %b, %2 : (!tile.crossbar<1x32x32>, tensor<2x32xf32>) -> tensor<2x32xf32>
  %4 = tile.mvm %b, %3 : (!tile.crossbar<1x32x32>, tensor<2x32xf32>) -> tensor<2x32xf32>
  func.return %4 : tensor<2x32xf32>
}
"""
QUANTIZED = "quantize-matrices{target=memcap-demo}," + TO_ANALOG


def weights() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(8)
    return {name: rng.standard_normal((1, 32, 32)).astype(np.float32) / 5 for name in "abk"}


def reference(x: np.ndarray) -> np.ndarray:
    w = {name: array[0] for name, array in weights().items()}
    return x @ w["a"] @ w["k"] @ w["b"] @ w["b"]


def inputs() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((2, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def program() -> Program:
    return compiled(STREAMED, weights(), QUANTIZED)


@pytest.mark.parametrize(("mode", "tolerance"), [("exact", 1e-5), ("quantized", 0.2)])
def test_results_do_not_know_of_reloads(program: Program, mode: str, tolerance: float) -> None:
    x = inputs()
    executor = MemcapExecutor(program, mode)  # type: ignore[arg-type]
    for _ in range(2):
        found = executor.run({"input0": x})["output0"]
        np.testing.assert_allclose(found, reference(x), atol=tolerance)


def test_noisy_arrays_are_those_of_the_site(program: Program) -> None:
    x = inputs()
    one, other = (
        MemcapExecutor(program, "noisy", seed).run({"input0": x})["output0"] for seed in (1, 2)
    )
    assert not np.array_equal(one, other)
    np.testing.assert_allclose(one, reference(x), atol=0.4)


def test_rounds_of_a_product_have_noise_of_their_own() -> None:
    """The same weights in the same cells, once and in two rounds: independent reads add up."""
    once = """
func.func @main(%x: tensor<400x16xf32>) -> tensor<400x8xf32> {
  %m = tile.program <"m"> tiles dense<[[0, 0, 16, 0, 8]]> : tensor<1x5xi32>
    {sites = dense<[[0, 2, 2, 0, 0]]> : tensor<1x5xi32>} : !tile.crossbar<1x16x8>
  %y = tile.mvm %m, %x : (!tile.crossbar<1x16x8>, tensor<400x16xf32>) -> tensor<400x8xf32>
  func.return %y : tensor<400x8xf32>
}
"""
    twice = """
func.func @main(%x: tensor<400x32xf32>) -> tensor<400x8xf32> {
  %m = tile.program <"m"> tiles dense<[[0, 0, 16, 0, 8], [0, 16, 16, 0, 8]]> : tensor<2x5xi32>
    {sites = dense<[[0, 2, 2, 0, 0], [0, 2, 2, 0, 0]]> : tensor<2x5xi32>,
     rounds = dense<[1, 2]> : tensor<2xi32>} : !tile.crossbar<1x32x8>
  %y = tile.mvm %m, %x : (!tile.crossbar<1x32x8>, tensor<400x32xf32>) -> tensor<400x8xf32>
  func.return %y : tensor<400x8xf32>
}
"""
    half = np.random.default_rng(2).standard_normal((1, 16, 8)).astype(np.float32)
    row = np.linspace(-1, 1, 16, dtype=np.float32)
    deviation = []
    for text, parts in ((once, 1), (twice, 2)):
        program = compiled(text, {"m": np.concatenate([half] * parts, axis=1)}, QUANTIZED)
        x = np.tile(np.hstack([row] * parts), (400, 1))
        read = MemcapExecutor(program, "noisy", 3).run({"input0": x})["output0"]
        deviation.append(read.std(axis=0))
    ratio = float(np.sqrt(np.square(deviation[1]).sum() / np.square(deviation[0]).sum()))
    assert ratio == pytest.approx(np.sqrt(2), rel=0.1)  # 2 if both were one read


def with_layer0(program: Program, change: list[Instruction]) -> Program:
    """``program`` with other instructions in the stream of its lowest layer."""
    decoded = decode_program(program)
    names = Names()
    for name in decode_names(program.tensors):
        names.index(name)
    blocks = [
        [replace(s, instructions=tuple(change)) if s.unit == "layer0" else s for s in streams]
        for streams in decoded.blocks
    ]
    return Program(program.manifest, {**program.tensors, **encode_streams(blocks, names)})


def layer0(decoded: MemcapProgram) -> list[Instruction]:
    return next(list(s.instructions) for s in decoded.blocks[0] if s.unit == "layer0")


def test_driving_what_was_overwritten_is_refused(program: Program) -> None:
    stream = layer0(decode_program(program))
    reloads = [n for n, i in enumerate(stream) if i.opcode is Opcode.RELOAD]
    assert len(reloads) == 3
    for number in reloads:
        # The event of the reload must still be raised: by a harmless copy of the one before it.
        other = stream[reloads[0]] if number else stream[reloads[1]]
        swapped = replace(other, event=stream[number].event)
        hostile = with_layer0(program, [*stream[:number], swapped, *stream[number + 1 :]])
        with pytest.raises(ProgramError, match="which hold something else"):
            decode_program(hostile)


def test_tiles_that_stay_cannot_be_written(program: Program) -> None:
    rest = {name: array for name, array in program.tensors.items() if name != "tiles.rounds"}
    with pytest.raises(ProgramError, match="cannot use tiles that stay"):
        decode_program(Program(program.manifest, rest))


def test_arrays_that_are_written_hold_nothing_else() -> None:
    beside = STREAMED.replace("[[1, 2, 2, 0, 0]]", "[[0, 2, 2, 64, 0]]")
    unchecked = TO_ANALOG.replace("check-placement,", "")
    with pytest.raises(ProgramError, match="cannot hold tiles that stay"):
        decode_program(compiled(beside, weights(), unchecked))


def test_rounds_must_be_in_order(program: Program) -> None:
    rounds = np.array(program.tensors["tiles.rounds"])
    rounds[rounds == 2] = -1
    hostile = Program(program.manifest, {**program.tensors, "tiles.rounds": rounds})
    with pytest.raises(ProgramError, match="sorted by layer and round"):
        decode_program(hostile)


def test_wear_counts_every_write_of_an_array(program: Program) -> None:
    wear = wear_of(decode_program(program))
    assert wear is not None
    assert (wear.arrays_written, wear.window_arrays, wear.most_writes) == (5, 1, 5)
    assert wear.inferences == demo_target().array.endurance_writes / 5
    assert wear.as_dict(2.0)["time_to_wear_out_s"] == 2 * wear.inferences


def test_writing_takes_its_time_and_energy(program: Program) -> None:
    target = demo_target()
    timed = time_program(decode_program(program))
    rows = 32 + 4 * 16
    written_s = write_latency_s(target, rows)
    assert written_s < timed.timeline.makespan_s < 1.05 * written_s
    written = 32 * 32 * 3
    assert timed.parts_j["program"] == pytest.approx(write_energy_j(target, written))
    bytes_j = target.host.link_energy_pj_per_byte * 1e-12
    moved = 2 * 2 * 32 * 4  # the input and the output
    expected = (stored_bytes(target, written) + moved) * bytes_j
    assert timed.parts_j["host_link"] == pytest.approx(expected)


def test_reloads_that_follow_each_other_are_written_side_by_side() -> None:
    apart = STREAMED.replace("[[0, 2, 2, 0, 0]]", "[[0, 1, 2, 0, 0]]", 1)
    one_round = apart.replace("rounds = dense<[1, 2]>", "rounds = dense<1>").replace(
        "[[0, 2, 2, 0, 0], [0, 2, 2, 0, 0]]", "[[0, 2, 2, 0, 0], [0, 2, 2, 16, 0]]"
    )
    decoded = decode_program(compiled(one_round, weights()))
    opcodes = [i.opcode for i in layer0(decoded)]
    assert opcodes.count(Opcode.RELOAD) == 2
    written_s = write_latency_s(demo_target(), 32)
    assert written_s < time_program(decoded).timeline.makespan_s < 1.1 * written_s


def test_a_slow_link_sets_the_pace(program: Program) -> None:
    decoded = decode_program(program)
    host = decoded.target.host.model_copy(update={"link_gb_s": 1e-6})
    slow = replace(decoded, target=decoded.target.model_copy(update={"host": host}))
    transfer_s = 3 * 32 * 32 / 1e3
    assert time_program(slow).timeline.makespan_s > transfer_s


def test_the_listing_comes_back(program: Program) -> None:
    decoded = decode_program(program)
    text = disassemble(decoded)
    assert "1 written anew in 1 rounds" in text
    blocks, _ = assemble(text)
    assert [i.opcode for s in blocks[0] for i in s.instructions] == [
        i.opcode for s in decoded.blocks[0] for i in s.instructions
    ]
