"""Random valid models give on every machine what ONNX Runtime gives.

The long search is ``python benchmarks/fuzz.py``, with the same strategy.
"""

import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from random_models.compare import TARGETS, check
from random_models.model_draw import RandomModel
from random_models.strategy import models


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """The reference evaluator divides by zero and overflows."""
    with warnings.catch_warnings(action="ignore"):
        yield


@pytest.mark.parametrize("target", TARGETS)
@settings(
    max_examples=25,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(model=models(max_nodes=12))
def test_random_models_agree(target: str, model: RandomModel) -> None:
    check(model, target)
