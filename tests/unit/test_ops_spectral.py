"""Fourier transforms and signal windows against ONNX Runtime and the reference evaluator."""

import numpy as np
import pytest

from semc.compiler.frontend.lowering import NotLowered

from .op_harness import check_op

rng = np.random.default_rng(5)


def signal(*shape: int, dtype: type = np.float32) -> np.ndarray:
    return rng.normal(size=shape).astype(dtype)


def dft(x: np.ndarray, axis: int | None = None, length: int | None = None, **attrs: int):
    inputs = {
        "x": x,
        "n": None if length is None else np.array(length),
        "axis": None if axis is None else np.array(axis),
    }
    while list(inputs.values())[-1] is None:
        inputs.popitem()
    return check_op("DFT", inputs, attrs, constants=["n", "axis"], opset=20, atol=1e-4)


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("size", [1, 7, 8])
def test_forward_and_inverse(parts: int, size: int) -> None:
    assert "linear" in dft(signal(3, size, parts)).ops
    if parts == 2:
        dft(signal(3, size, parts), inverse=1)


@pytest.mark.parametrize("axis", [1, -2, 2, -3])
def test_every_axis(axis: int) -> None:
    dft(signal(2, 5, 6, 2), axis)
    dft(signal(2, 5, 6, 1), axis, onesided=1)


@pytest.mark.parametrize("length", [4, 6, 9, 13])
def test_lengths_cut_or_pad(length: int) -> None:
    dft(signal(2, 9, 2), 1, length)
    dft(signal(2, 9, 1), 1, length, onesided=1)
    dft(signal(2, 9, 2), 1, length, inverse=1)


def test_double_precision() -> None:
    check_op("DFT", {"x": signal(2, 9, 2, dtype=np.float64)}, opset=20, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("bins", "length"), [(5, None), (5, 8), (5, 9), (4, 7), (2, 2), (1, 1)])
def test_real_signals_from_half_a_spectrum(bins: int, length: int | None) -> None:
    done = dft(signal(2, bins, 2), 1, length, inverse=1, onesided=1)
    assert done.outputs[0].shape[-1] == 1


def test_half_a_spectrum_of_another_length_stays_on_the_host() -> None:
    with pytest.raises(NotLowered, match="8 points from 4 bins"):
        dft(signal(2, 4, 2), 1, 8, inverse=1, onesided=1)


@pytest.mark.parametrize("onesided", [0, 1])
@pytest.mark.parametrize("fixed", [["step"], []])
@pytest.mark.parametrize("window", [True, False])
def test_short_time_transforms(onesided: int, fixed: list[str], window: bool) -> None:
    inputs = {
        "x": signal(2, 40, 1),
        "step": np.array(6),
        "window": signal(16) if window else None,
        "length": np.array(16),
    }
    names = [*fixed, "length"]
    check_op("STFT", inputs, {"onesided": onesided}, constants=names, opset=17, atol=1e-4)
    check_op(
        "STFT", inputs, {"onesided": onesided}, constants=[*names, "window"], opset=17, atol=1e-4
    )


def test_a_complex_signal() -> None:
    inputs = {"x": signal(2, 33, 2), "step": np.array(5), "window": signal(8)}
    check_op("STFT", inputs, {"onesided": 0}, constants=["step"], opset=17, atol=1e-4)


@pytest.mark.parametrize("op", ["HannWindow", "HammingWindow", "BlackmanWindow"])
@pytest.mark.parametrize("periodic", [0, 1])
@pytest.mark.parametrize("kind", [1, 11, 10])
def test_windows(op: str, periodic: int, kind: int) -> None:
    tolerance = 1e-3 if kind == 10 else 1e-6
    attrs = {"periodic": periodic, "output_datatype": kind}
    done = check_op(op, {"size": np.array(10)}, attrs, opset=17, rtol=tolerance, atol=tolerance)
    assert done.ops == []
