"""Pools against ONNX Runtime: geometry, ceil mode, what counts as a position."""

from typing import Any

import numpy as np
import pytest

from semc.compiler.frontend.lowering import NotLowered

from .op_harness import check_op

SPACES = {1: (9,), 2: (8, 7), 3: (5, 6, 5)}


def floats(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape).astype(np.float32)


def geometries(rank: int, how: str) -> list[dict[str, Any]]:
    found = []
    for stride, dilation in ((1, 1), (2, 1), (2, 2), (3, 1)):
        if how.startswith("SAME") and (dilation > 1 or stride > 2):
            continue  # ONNX Runtime pads by another rule, or refuses
        attrs: dict[str, Any] = {
            "kernel_shape": (3, 2, 2)[:rank],
            "strides": [stride] * rank,
            "dilations": [dilation] * rank,
        }
        if how == "pads":
            attrs["pads"] = [*[1, 0, 1][:rank], *[1, 1, 0][:rank]]
        elif how != "none":
            attrs["auto_pad"] = how
        found.append(attrs)
    return found


@pytest.mark.parametrize("ceil", [0, 1])
@pytest.mark.parametrize("how", ["none", "pads", "SAME_UPPER", "SAME_LOWER", "VALID"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_pools(rank: int, how: str, ceil: int) -> None:
    inputs = {"X": floats(2, 3, *SPACES[rank])}
    for geometry in geometries(rank, how):
        attrs = {**geometry, "ceil_mode": ceil}
        check_op("MaxPool", inputs, attrs)
        for include in (0, 1):
            check_op("AveragePool", inputs, {**attrs, "count_include_pad": include})
        if rank < 3:
            for p in (1, 2, 3) if rank == 1 else (2,):
                check_op("LpPool", inputs, {**attrs, "p": p}, rtol=1e-4)


@pytest.mark.parametrize("dtype", ["i1", "u1", "f8"])
def test_max_types(dtype: str) -> None:
    x = (floats(1, 2, 6, 6) * 50 - 60 * (dtype == "i1")).clip(-128, 127)
    x = abs(x) if dtype == "u1" else x
    check_op("MaxPool", {"X": x.astype(dtype)}, {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]})


def test_one_window_each() -> None:
    x = {"X": floats(1, 2, 6, 6)}
    assert check_op("MaxPool", x, {"kernel_shape": [2, 2]}).ops == ["window"]
    assert check_op("AveragePool", x, {"kernel_shape": [2, 2]}).ops == ["window"]


def test_indices_stay_on_the_host() -> None:
    with pytest.raises(NotLowered, match="Indices"):
        check_op("MaxPool", {"X": floats(1, 1, 4, 4)}, {"kernel_shape": [2, 2]}, n_outputs=2)


def test_another_number_of_positions_stays_on_the_host() -> None:
    attrs = {"kernel_shape": [3], "dilations": [2], "auto_pad": "SAME_UPPER"}
    with pytest.raises(NotLowered, match="positions"):
        check_op("MaxPool", {"X": floats(1, 1, 9)}, attrs)
