"""Networks exported by others, where they are at hand: each loads, imports and verifies."""

import os
from pathlib import Path

import pytest

from semc.compiler.frontend import import_model, load_model

MODELS = Path(os.environ.get("SEMC_SHARED", "../shared")) / "zoo" / "models"
DIMS = {"past": 7}

# Both exporters, folded shape arithmetic, recurrent layers, attention, quantised heads.
SAMPLE = {
    "mlp.dynamo": {"Gemm"},
    "resnet18.dynamo": {"Conv"},
    "bert.ts": {"MatMul", "Softmax"},
    "lstm_speech.ts": {"LSTM"},
    "llama.opset23": {"Attention"},
    "llama_decode.ts": {"MatMul"},
    "segformer.ts": {"Resize"},
}


@pytest.mark.parametrize("name", SAMPLE)
def test_network(name: str) -> None:
    path = MODELS / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"{path} is not at hand")
    loaded = load_model(path, DIMS if "decode" in name else None)
    module, weights = import_model(loaded)
    module.verify()
    found = {node.op_type for node in loaded.nodes}
    assert SAMPLE[name] <= found
    # What only computes shapes must be gone.
    assert not found & {"Shape", "Size", "Constant", "ConstantOfShape", "Identity", "Subgraph"}
    assert len(weights) > 0
