"""Hostile parameters, one a model: each is compiled or refused in one line, never anything else."""

import resource
import time

import pytest
from onnx import helper

from semc.compiler.driver import CompileOptions, compile_model
from semc.errors import CapacityError, ModelError, SemcError

from .hostile_models import INF, MODELS, NAN, f32, i64, nested_ifs, node

#: Words of the refusal of models that were once taken, or a fault, or had no end.
MESSAGES = {
    "conv_auto_pad_word": "auto_pad of Conv must be one of NOTSET",
    "gelu_word": "approximate of Gelu must be one of",
    "depth_to_space_mode": "mode of DepthToSpace must be one of DCR, CRD",
    "depth_to_space_three": "does not divide into blocks of 3",
    "bit_shift_word": "direction of BitShift must be one of LEFT, RIGHT",
    "resize_mode_word": "mode of Resize must be one of",
    "lp_pool_p_zero": "p must be at least 1",
    "pad_value_vector": "the padding value must be one element",
    "instance_norm_long": "need one element a channel",
    "quantize_scale_vector": "must have 4 elements",
    "quantize_axis_out": "axis 9 is not one of 2 dims",
    "quantize_block_negative": "into blocks of -2",
    "einsum_ellipsis_twice": "an equation must read",
    "einsum_control": "an equation must read",
    "range_step_zero": "delta not 0",
    "range_huge": "a range must have at most",
    "range_nan": "must be finite",
    "range_infinite": "must be finite",
    "reshape_rank_1000": "at most 64 dims, not 1000",
    "input_rank_200": "at most 64 dims, not 200",
}


def refusal_of(made: bytes) -> SemcError | None:
    try:
        compile_model(made, CompileOptions(target="memcap-demo"))
    except SemcError as error:
        return error
    return None


@pytest.mark.parametrize("name", MODELS)
def test_compiled_or_refused(name: str) -> None:
    made = MODELS[name]().SerializeToString()
    start, before = time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refusal = refusal_of(made)
    assert (refusal is not None) or name not in MESSAGES
    if refusal is not None:
        assert len(str(refusal).splitlines()) == 1
        assert refusal.exit_code == (3 if isinstance(refusal, CapacityError) else 1)
        assert MESSAGES.get(name, "") in str(refusal)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert time.process_time() - start < 20
    assert grown_kib < 1 << 20


@pytest.mark.parametrize("equation", ["ij,jk->ik", "...ij->...ji", " i j -> j i ", "ii", ",i->i"])
def test_equations_that_are_some(equation: str) -> None:
    operands = {"ij,jk->ik": {"w": [[1.0]]}, ",i->i": {"w": [1.0]}}.get(equation, {})
    shape = [] if equation.startswith(",") else [1, 1]
    constants = {key: f32(*value[0] if shape else value).reshape((1, 1) if shape else (1,))
                 for key, value in operands.items()}  # fmt: skip
    compile_model(node("Einsum", shape, constants, equation=equation)(), CompileOptions())


def test_an_equation_is_read_within_subgraphs_too() -> None:
    made = nested_ifs(1)
    for branch in made.graph.node[0].attribute:
        inner = helper.make_node("Einsum", ["x"], ["v"], equation="i;j")
        branch.g.node[0].CopyFrom(inner)
    with pytest.raises(ModelError, match="an equation must read"):
        compile_model(made, CompileOptions())


@pytest.mark.parametrize(("block", "taken"), [(2, True), (3, True), (4, False), (1, False)])
def test_blocks_of_scales_cover_their_axis(block: int, taken: bool) -> None:
    made = node("QuantizeLinear", [2, 4], {"s": f32(1, 1, 1, 1).reshape(2, 2)}, out=2,
                axis=1, block_size=block)()  # fmt: skip
    if taken:
        compile_model(made, CompileOptions())
        return
    with pytest.raises(ModelError, match=f"into blocks of {block}"):
        compile_model(made, CompileOptions())


def test_weights_that_are_no_numbers_are_compiled() -> None:
    weight = f32(NAN, INF, -INF, 1e-45).reshape(4, 1)
    compiled = compile_model(node("MatMul", [2, 4], {"w": weight})(), CompileOptions())
    assert compiled.facts["host_ops"] == []
    assert i64(compiled.facts["tiles"]) == 0
