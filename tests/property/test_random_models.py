"""Random valid models give on every machine what ONNX Runtime gives.

The long search is ``python benchmarks/fuzz.py``, with the same strategy. A failing model is cut
down to the nodes that matter, which is many times faster than to draw smaller and smaller ones.
"""

import sys
import warnings
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from random_models.compare import TARGETS, Mismatch, check
from random_models.model_draw import RandomModel
from random_models.reduce import smallest
from random_models.strategy import models


@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=20, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(model=models(max_nodes=12))
def test_random_models_agree(target: str, model: RandomModel) -> None:
    with warnings.catch_warnings(action="ignore"):  # the reference evaluator divides by zero
        try:
            check(model, target)
        except Mismatch as error:
            pytest.fail(f"{error}\n{smallest(model, target, error)!r}")
