"""MelWeightMatrix against ONNX Runtime."""

from typing import Any

import numpy as np
import pytest

from .op_harness import check_op


def filters(
    bands: int, length: int, rate: int, low: float, high: float, dtype: Any = np.float32
) -> dict[str, np.ndarray]:
    return {
        "num_mel_bins": np.array(bands, np.int32),
        "dft_length": np.array(length, np.int32),
        "sample_rate": np.array(rate, np.int32),
        "lower_edge_hertz": np.array(low, dtype),
        "upper_edge_hertz": np.array(high, dtype),
    }


def test_one_program_makes_filters_for_many_edges() -> None:
    # with few bins for the bands, some filters are a single bin
    for bands, length in ((8, 16), (8, 512), (40, 65), (1, 30)):
        given = [(8192, 0, 3900), (16000, 125, 7600), (44100, 20, 9000), (8000, 300.5, 300.5)]
        first, *also = [filters(bands, length, *edges) for edges in given]
        check_op("MelWeightMatrix", first, also=also)
    # one bin more or less in the transform is the same number of bins of the spectrum
    check_op("MelWeightMatrix", filters(8, 64, 8192, 0, 4096), also=[filters(8, 65, 8192, 0, 4000)])


@pytest.mark.parametrize("kind", [1, 11])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_types(kind: int, dtype: Any) -> None:
    inputs = filters(8, 64, 8192, 0, 4096, dtype)
    check_op("MelWeightMatrix", inputs, {"output_datatype": kind})
    check_op("MelWeightMatrix", inputs, constants={"sample_rate", "lower_edge_hertz"})
