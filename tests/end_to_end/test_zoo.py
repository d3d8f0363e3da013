"""Real architectures on both machines, through the program file, against ONNX Runtime.

The models lie beside the repository (``SEMC_SHARED``); without them these tests are skipped.
"""

import os
from pathlib import Path

import numpy as np
import pytest

import semc
from semc.backends.program import Program

MODELS = (
    "resnet18.dynamo",
    "mobilenet_v2.ts",
    "bert.ts",
    "gpt2.dynamo",
    "llama.opset23",
    "vit_small.dynamo",
    "lstm_speech.ts",
    "unet.dynamo",
)
SHARED = Path(os.environ.get("SEMC_SHARED", Path(__file__).parents[3] / "shared"))
ZOO = SHARED / "zoo" / "models"


def _inputs(program: Program, name: str) -> dict[str, np.ndarray]:
    with np.load(ZOO / f"{name.split('.')[0]}.npz") as arrays:
        ports = program.manifest["inputs"]
        return {port["name"]: arrays[f"in_{i}"] for i, port in enumerate(ports)}


@pytest.mark.skipif(not ZOO.is_dir(), reason="the model zoo is not beside the repository")
@pytest.mark.parametrize("target", ["memcap-phone", "mesh-small"])
@pytest.mark.parametrize("name", MODELS)
def test_exact_agrees_with_onnx_runtime(name: str, target: str, tmp_path: Path) -> None:
    model, path = ZOO / f"{name}.onnx", tmp_path / "model.semc"
    semc.compile(model, target, out=path)
    program = semc.load(path)
    result = semc.simulate(program, _inputs(program, name), mode="exact", reference=model)
    assert result.reference is not None
    assert result.reference["max_rel_error"] <= 1e-4
    assert result.as_dict()["latency_s"] > 0
