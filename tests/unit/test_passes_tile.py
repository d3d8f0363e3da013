"""The graph and the tile level compute the same, on random inputs."""

from collections.abc import Callable, Sequence

import ml_dtypes
import numpy as np
import pytest
from xdsl.dialects import func
from xdsl.dialects.builtin import UNKNOWN_LOC, ModuleOp
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.rewriter import InsertPoint

from semc.compiler.context import CompilerContext, new_context
from semc.compiler.frontend.graph_builder import GraphBuilder
from semc.compiler.parse import parse_module
from semc.compiler.pipeline import run_passes
from semc.compiler.weights import Deferred
from semc.dialects.types import shape_of, tensor_type
from semc.runtime.interpret.interpret import interpret_function

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
TO_TILE = "convert-graph-to-tile"
ALL = "convert-graph-to-tile,fold-views,fuse-maps,cse,cut-tiles"
ON_ARRAYS = "convert-graph-to-tile{min-array-use=0.0 vector-mac-pj=1000000000.0}"

Build = Callable[[GraphBuilder, Sequence[SSAValue]], SSAValue]


def make_module(build: Build, inputs: Sequence[np.ndarray]) -> tuple[ModuleOp, CompilerContext]:
    """A module whose ``@main`` is what ``build`` makes of arguments like ``inputs``."""
    ctx = new_context()
    types = [tensor_type(x.shape, x.dtype) for x in inputs]
    block = Block(arg_types=types)
    builder = GraphBuilder(ctx.weights, InsertPoint.at_end(block), UNKNOWN_LOC)
    result = build(builder, block.args)
    block.add_op(func.ReturnOp(result))
    main = func.FuncOp("main", (types, [result.type]), Region(block))
    return ModuleOp([main]), ctx


def run_main(module: ModuleOp, ctx: CompilerContext, inputs: Sequence[np.ndarray]) -> np.ndarray:
    (main,) = module.ops
    assert isinstance(main, func.FuncOp)
    (y,) = interpret_function(main, inputs, ctx.weights)
    return y


def names_of(module: ModuleOp) -> list[str]:
    (main,) = module.ops
    assert isinstance(main, func.FuncOp)
    return [op.name for op in main.body.block.ops]


def check(
    build: Build,
    inputs: Sequence[np.ndarray],
    pipelines: Sequence[str] = (TO_TILE, ALL),
    tolerance: float = 1e-5,
) -> list[str]:
    """Compare the levels; returns the op names after the first pipeline."""
    module, ctx = make_module(build, inputs)
    module.verify()
    expected = run_main(module, ctx, inputs)
    names: list[str] = []
    for pipeline in pipelines:
        lowered = module.clone()
        run_passes(lowered, pipeline, ctx=ctx)
        names = names or names_of(lowered)
        came = run_main(lowered, ctx, inputs)
        assert came.dtype == expected.dtype
        assert came.shape == expected.shape
        np.testing.assert_allclose(
            came.astype(np.float64), expected.astype(np.float64), rtol=tolerance, atol=tolerance
        )
    assert not any(name in ("graph.linear", "graph.conv", "graph.norm") for name in names)
    return names


def random(*shape: int, dtype: np.dtype | type = np.float32) -> np.ndarray:
    rng = np.random.default_rng(sum(shape) + len(shape))
    if np.dtype(dtype).kind in "iu":
        return rng.integers(-9, 9, shape).astype(dtype)
    return rng.standard_normal(shape).astype(dtype)


@pytest.mark.parametrize("lead", [(), (1,), (7,), (2, 3), (2, 1, 3), (0,), (3, 0)], ids=str)
@pytest.mark.parametrize("bias", [False, True])
def test_linear(lead: tuple[int, ...], bias: bool) -> None:
    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        w = b.constant(random(20, 30), "w")
        return b.linear(args[0], w, b.constant(random(30), "b") if bias else None)

    names = check(build, [random(*lead, 20)])
    assert names.count("tile.mvm") == names.count("tile.program") == 1


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(np.float16, 5e-3), (BFLOAT16, 5e-2), (np.float64, 1e-12), (np.int32, 0)],
    ids=str,
)
def test_linear_types(dtype: np.dtype, tolerance: float) -> None:
    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        w, bias = b.constant(random(20, 6, dtype=dtype), "w"), b.constant(random(6, dtype=dtype))
        return b.linear(args[0], w, bias)

    names = check(build, [random(4, 20, dtype=dtype)], tolerance=tolerance)
    assert ("tile.program" in names) == (np.dtype(dtype).kind != "i")


def test_literal_weights() -> None:
    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        return b.linear(args[0], b.constant(random(3, 2)), b.constant(random(2)))

    check(build, [random(4, 3)])


def test_deferred_weights_are_made_when_they_are_read() -> None:
    calls = []

    def make() -> np.ndarray:
        calls.append(1)
        return random(20, 30)

    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        w = b.stored(b.weights.add("w", Deferred((20, 30), np.dtype(np.float32), make)))
        return b.linear(args[0], w)

    module, ctx = make_module(build, [x := random(4, 20)])
    run_passes(module, ALL, ctx=ctx)
    assert not calls
    np.testing.assert_allclose(run_main(module, ctx, [x]), x @ random(20, 30), rtol=1e-5, atol=1e-5)


def test_matrices_are_views_of_the_stored_weights() -> None:
    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        y = b.linear(args[0], b.constant(random(20, 30), "w"))
        y = b.reshape(y, (1, 30, 4))
        fields = {"strides": [1], "dilations": [1], "low": [1], "high": [1]}
        return b.conv(y, b.constant(random(8, 30, 3), "k"), None, (1, 8, 4), groups=1, **fields)

    module, ctx = make_module(build, [random(4, 20)])
    run_passes(module, TO_TILE, ctx=ctx)
    assert np.shares_memory(ctx.weights["w"], ctx.weights["w.matrix"])
    assert np.shares_memory(ctx.weights["k"], ctx.weights["k.im2col1"])


CONVOLUTIONS = [
    # spatial, kernel, strides, dilations, low, high
    ((9,), (3,), (1,), (1,), (1,), (1,)),
    ((9,), (1,), (2,), (1,), (0,), (0,)),
    ((8, 7), (3, 2), (2, 1), (1, 2), (1, 0), (0, 2)),
    ((6, 5), (1, 1), (1, 1), (1, 1), (0, 0), (0, 0)),
    ((6, 5), (1, 1), (2, 3), (1, 1), (0, 0), (0, 0)),
    ((6, 5), (1, 1), (1, 1), (1, 1), (1, 0), (0, 1)),
    ((4, 5, 3), (2, 3, 1), (1, 2, 1), (1, 1, 1), (0, 1, 0), (1, 1, 0)),
]


@pytest.mark.parametrize("geometry", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize(("groups", "channels", "filters"), [(1, 4, 6), (2, 4, 6), (4, 4, 8)])
@pytest.mark.parametrize("batch", [1, 3])
def test_conv(
    geometry: tuple[tuple[int, ...], ...], groups: int, channels: int, filters: int, batch: int
) -> None:
    spatial, kernel, strides, dilations, low, high = geometry
    sizes = zip(spatial, kernel, strides, dilations, low, high, strict=True)
    out = [(n + lo + hi - d * (k - 1) - 1) // s + 1 for n, k, s, d, lo, hi in sizes]

    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        w = b.constant(random(filters, channels // groups, *kernel), "w")
        bias = b.constant(random(filters), "b")
        return b.conv(
            args[0], w, bias, (batch, filters, *out),
            strides=strides, dilations=dilations, low=low, high=high, groups=groups,
        )  # fmt: skip

    names = check(build, [random(batch, channels, *spatial)], (ON_ARRAYS, TO_TILE, ALL))
    assert "tile.mvm" in names
    assert ("tile.window" in names) == (max(kernel) > 1 or any((*low, *high)))


TRANSPOSED = [
    # spatial, kernel, strides, dilations, low, high (negative: extended)
    ((5,), (3,), (2,), (1,), (1,), (0,)),
    ((5,), (2,), (1,), (1,), (2,), (2,)),
    ((4, 5), (3, 2), (2, 3), (1, 2), (1, 0), (0, 1)),
    ((4, 5), (2, 2), (2, 2), (1, 1), (0, 0), (-1, -1)),
    ((1, 1), (4, 4), (1, 1), (1, 1), (0, 0), (0, 0)),
    ((3, 2, 2), (2, 1, 2), (2, 2, 1), (1, 1, 1), (0, 0, 1), (0, 0, 0)),
]


@pytest.mark.parametrize("geometry", TRANSPOSED, ids=str)
@pytest.mark.parametrize(("groups", "channels", "filters"), [(1, 4, 6), (2, 4, 6), (4, 4, 4)])
def test_conv_transposed(
    geometry: tuple[tuple[int, ...], ...], groups: int, channels: int, filters: int
) -> None:
    spatial, kernel, strides, dilations, low, high = geometry
    sizes = zip(spatial, kernel, strides, dilations, low, high, strict=True)
    out = [(n - 1) * s + d * (k - 1) + 1 - lo - hi for n, k, s, d, lo, hi in sizes]

    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        w = b.constant(random(channels, filters // groups, *kernel), "w")
        return b.conv(
            args[0], w, None, (2, filters, *out), strides=strides, dilations=dilations,
            low=low, high=high, groups=groups, transposed=True,
        )  # fmt: skip

    check(build, [random(2, channels, *spatial)], (ON_ARRAYS, TO_TILE, ALL))


@pytest.mark.parametrize(
    ("dtype", "tolerance"),
    [(np.float32, 1e-6), (np.float16, 2e-3), (BFLOAT16, 2e-2), (np.float64, 1e-12)],
    ids=str,
)
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("log", [False, True])
def test_softmax(dtype: np.dtype, tolerance: float, axis: int, log: bool) -> None:
    x = (random(2, 5, 3) * 30).astype(dtype)
    check(lambda b, args: b.softmax(args[0], axis, log=log), [x], tolerance=tolerance * 30)


def test_softmax_of_masked_rows() -> None:
    x = random(3, 4)
    x[0, 1:] = -np.inf
    x[1, 2] = np.finfo(np.float32).max
    check(lambda b, args: b.softmax(args[0], 1), [x], tolerance=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float16, BFLOAT16, np.float64], ids=str)
@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("extras", [(False, False), (True, False), (True, True), (False, True)])
def test_norm(dtype: np.dtype, center: bool, extras: tuple[bool, bool]) -> None:
    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        scale, bias = (
            b.constant(random(5, 1 + i, dtype=dtype)[:, :1], "v") if given else None
            for i, given in enumerate(extras)
        )
        return b.norm(args[0], (1, 2), 1e-3, center=center, scale=scale, bias=bias)

    tolerance = {np.dtype(np.float16): 5e-3, BFLOAT16: 5e-2}.get(np.dtype(dtype), 1e-5)
    check(build, [random(2, 5, 7, dtype=dtype)], tolerance=tolerance)


def test_norm_keeps_half_precision_statistics_in_float32() -> None:
    # the squares of these overflow float16
    x = (300 + random(2, 64)).astype(np.float16)
    check(lambda b, args: b.norm(args[0], (1,), 1e-5), [x], tolerance=5e-3)


def test_every_tensor_op() -> None:
    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        x, index = args
        y = b.concat([b.pad(x, (1, 0), (0, 2)), b.pad(x, (1, 0), (0, 2), mode="edge")], 0)
        y = b.gather(y, index, axis=1)
        y = b.scatter(y, b.constant(np.array([[0], [2]])), b.slice_axis(y, 0, 0, 2), mode="nd")
        y = b.cumulate(y, "sum", 0, reverse=True)
        weights = np.array([[0.5, 0.5], [0.25, 0.75]], np.float32)
        y = b.resample(y, 1, b.constant(np.array([[0, 1], [1, 2]])), b.constant(weights))
        y = b.contract(b.transpose(y, (1, 0)), y)
        top = b.reduce(y, "max", (1,), keepdims=True)
        y = b.binary("divf", b.unary("exp", b.binary("sub", y, top)), b.constant(np.float32(3)))
        window = {"kernel": [2], "strides": [1], "dilations": [1], "low": [0], "high": [1]}
        y = b.window([b.reshape(y, (1, 2, 2))], (1, 2, 2), kind="max", **window)
        return b.cast(b.expand(y, (3, 2, 2)), np.dtype(np.float16))

    names = check(build, [random(3, 4), np.array([3, -1, 0])], tolerance=1e-3)
    assert not [n for n in names if n.startswith("graph.") and n != "graph.constant"]


def test_chains_of_views_and_maps() -> None:
    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        x, row = args
        y = b.transpose(b.reshape(x, (2, 3, 4, 2)), (0, 2, 1, 3))
        y = b.slice(y, (1, 3, 0, 0), (1, 4, 2, 2), (1, -1, 2, 1))
        y = b.binary("mul", b.reshape(y, (4, 4)), row)
        y = b.binary("add", y, y)
        z = b.unary("tanh", y)
        y = b.binary("sub", z, b.unary("exp", b.binary("mul", z, b.constant(np.float32(-2)))))
        return b.transpose(b.transpose(b.expand(y, (2, 4, 4)), (2, 0, 1)), (1, 2, 0))

    folded = "fold-views,fuse-maps,fold-views,fuse-maps{max-operands=2},cse"
    names = check(build, [random(2, 24), random(4)], (folded, TO_TILE, ALL))
    assert names.count("graph.map") == 1
    assert names.count("graph.view") == 3


@pytest.mark.parametrize("dtype", [np.float16, BFLOAT16, np.float32], ids=str)
def test_a_constant_beyond_the_range_of_its_type_is_infinite(dtype: np.dtype) -> None:
    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        body = b.body(args[0])
        return b.map([args[0]], body.finish(body.binary("minimumf", 0, body.const(1e39, name))))

    name = {"float16": "f16", "bfloat16": "bf16", "float32": "f32"}[np.dtype(dtype).name]
    module, ctx = make_module(build, [x := random(3, dtype=dtype)])
    module = parse_module(str(module), ctx, "printed")
    np.testing.assert_array_equal(run_main(module, ctx, [x]), x)


def test_a_recomputed_program_is_an_effect() -> None:
    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        w = b.constant(random(6, 6), "w")
        return b.linear(b.linear(args[0], w), w)

    names = check(build, [random(2, 6)])
    assert names.count("tile.program") == 1
    assert names.count("tile.mvm") == 2


def test_shape_only_weights_lower_alike() -> None:
    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        w = b.stored(b.weights.absent("w", (5, 4, 3, 3), np.dtype(np.float32)))
        bias = b.stored(b.weights.absent("b", (5,), np.dtype(np.float32)))
        fields = {"strides": [1, 1], "dilations": [1, 1], "low": [1, 1], "high": [1, 1]}
        return b.conv(args[0], w, bias, (1, 5, 8, 8), groups=1, **fields)

    module, ctx = make_module(build, [random(1, 4, 8, 8)])
    run_passes(module, f"{ALL},quantize-matrices{{target=memcap-demo}}", ctx=ctx)
    assert ctx.weights.is_absent("w.im2col1")
    assert ctx.weights.shape("w.im2col1") == (1, 36, 5)
    assert ctx.weights.is_absent("b.column3")


def test_lowering_many_ops_takes_linear_time() -> None:
    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        x = args[0]
        w = b.constant(random(8, 8), "w")
        for _ in range(150):
            x = b.unary("tanh", b.reshape(b.linear(b.reshape(x, (2, 2, 8)), w), (4, 8)))
        return x

    module, ctx = make_module(build, [random(4, 8)])
    timings: dict[str, float] = {}
    run_passes(module, ALL, ctx=ctx, timings=timings)
    assert sum(timings.values()) < 2.0
    assert names_of(module).count("tile.mvm") == 150


def walk_names(op: Operation) -> list[str]:
    return [inner.name for inner in op.walk()]


def test_results_do_not_hang_on_how_often_a_pass_runs() -> None:
    def build(b: GraphBuilder, args: Sequence[SSAValue]) -> SSAValue:
        y = b.softmax(b.linear(args[0], b.constant(random(8, 8), "w")), 2)
        return b.unary("exp", b.transpose(y, (0, 2, 1)))

    module, ctx = make_module(build, [random(2, 3, 8)])
    run_passes(module, ALL, ctx=ctx)
    before = walk_names(module)
    run_passes(module, ALL, ctx=ctx)
    assert walk_names(module) == before
    (main,) = module.ops
    assert isinstance(main, func.FuncOp)
    assert shape_of(main.body.block.args[0]) == (2, 3, 8)
