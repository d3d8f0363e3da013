"""Any matrix, any cut: tiles add up to the product, codes stay within their bound."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from semc.backends import targets
from semc.backends.targets.slicing import slice_ratio, slice_weights, split_slices
from semc.compiler.quantize.adc_range import default_adc_range
from semc.runtime.execute.crossbar import prepare_matrix, run_exact, run_matrix

DEMO = targets.load_target("memcap-demo")


@st.composite
def cut_matrices(draw):
    """(shape, tiles in any order): every group and row range cut into columns by itself."""
    groups, depth, width = (
        draw(st.integers(1, 4)),
        draw(st.integers(1, 40)),
        draw(st.integers(1, 20)),
    )

    def pieces(length, limit):
        ends, out = 0, []
        while ends < length:
            size = draw(st.integers(1, min(limit, length - ends)))
            out.append((ends, size))
            ends += size
        return out

    tiles = [
        (group, row0, rows, col0, cols)
        for group in range(groups)
        for row0, rows in pieces(depth, 16)
        for col0, cols in pieces(width, 8)
    ]
    order = draw(st.permutations(range(len(tiles))))
    return (groups, depth, width), np.array(tiles, np.int32)[order]


@settings(max_examples=60, deadline=None)
@given(cut_matrices(), st.integers(0, 5), st.integers(0, 2**31))
def test_exact_tiles_add_up(cut, positions, seed):
    (groups, depth, width), tiles = cut
    rng = np.random.default_rng(seed)
    weights = rng.integers(-50, 50, (groups, depth, width)).astype(np.float32)
    x = rng.integers(-50, 50, (groups, positions, depth)).astype(np.float32)
    assert np.array_equal(run_exact(weights, tiles, x), x @ weights)


@settings(max_examples=60, deadline=None)
@given(cut_matrices(), st.integers(1, 5), st.integers(0, 2**31), st.sampled_from([2, 8, 16, 128]))
def test_quantisation_error_is_bounded(cut, positions, seed, levels):
    """Half an input step and half a converter step per tile and slice; nothing clips in between."""
    (groups, depth, width), tiles = cut
    target = DEMO.model_copy(update={"array": DEMO.array.model_copy(update={"levels": levels})})
    rng = np.random.default_rng(seed)
    codes = rng.integers(-127, 128, (groups, depth, width)).astype(np.int8)
    scale = rng.uniform(0.1, 2, (groups, width)).astype(np.float32)
    x = rng.normal(size=(groups, positions, depth)).astype(np.float32)
    worst = default_adc_range(codes, scale, tiles, target, x_rms=1e3)
    sites = np.zeros((len(tiles), 3), np.int32)
    prepared = prepare_matrix(codes, scale, tiles, sites, target, "quantized", 0, worst)
    top = np.abs(x).max(axis=2, keepdims=True)
    bound = top / 254 * np.abs(codes.astype(np.float64)).sum(axis=1)[:, None]
    for number, (group, row0, rows, col0, cols) in enumerate(tiles):
        block = split_slices(codes[group, row0 : row0 + rows, col0 : col0 + cols], target)
        # The worst-case range clips at most the top code: one step of loss instead of half.
        step = worst[number] * slice_ratio(block[:, None])[:, 0] / 128
        step = np.minimum(step, np.abs(block).sum(axis=1).max(axis=1) / 128)
        bound[group, :, col0 : col0 + cols] += top[group] * (step @ slice_weights(target))
    error = np.abs(run_matrix(prepared, x) - x.astype(np.float64) @ (codes * scale[:, None]))
    clipped = _clip_allowance(codes, tiles, worst, target, x, top)
    assert (error <= (bound * 1.001 + clipped) * scale[:, None] + 1e-4).all()


def _clip_allowance(codes, tiles, worst, target, x, top):
    """What a slice's column sum exceeds its full scale by, counted per output."""
    out = np.zeros((codes.shape[0], x.shape[1], codes.shape[2]))
    unit = np.divide(x, top, out=np.zeros_like(x), where=top > 0)
    for number, (group, row0, rows, col0, cols) in enumerate(tiles):
        block = split_slices(codes[group, row0 : row0 + rows, col0 : col0 + cols], target)
        ratio = slice_ratio(block[:, None])[:, 0]
        full = np.minimum(worst[number] * ratio, np.abs(block).sum(axis=1).max(axis=1))
        sums = np.abs(np.einsum("pr,src->spc", unit[group][:, row0 : row0 + rows], block))
        over = np.maximum(sums * 1.01 - full[:, None, None], 0)
        over = np.einsum("spc,s->pc", over, slice_weights(target))
        out[group, :, col0 : col0 + cols] += over * top[group]
    return out
