"""What the training and export scripts of this folder share.

Needs torch, onnx, onnxscript and onnxruntime, as the scripts that use it say.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import nn

HERE = Path(__file__).parent


class TransformerBlock(nn.Module):
    """Pre-norm self-attention and a GELU network of four times the width, each with a residual.

    ``x`` is [batch, tokens, width]; with ``causal`` a token sees itself and those before it.
    """

    def __init__(
        self, width: int, heads: int, tokens: int, *, causal: bool = False, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention, self.before_mlp = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )
        self.dropout = nn.Dropout(dropout)
        hidden = torch.full((tokens, tokens), -1e4 if causal else 0.0).triu(1)
        self.register_buffer("mask", hidden if causal else None, persistent=False)

    def attention(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        parts = self.qkv(x).reshape(batch, tokens, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        scores = query @ key.transpose(-1, -2) * (width // self.heads) ** -0.5
        if self.mask is not None:
            scores = scores + self.mask
        mixed = torch.softmax(scores, dim=-1) @ value
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.dropout(self.attention(self.before_attention(x)))
        return x + self.dropout(self.mlp(self.before_mlp(x)))


def fit(
    model: nn.Module,
    batches: Iterable[tuple[torch.Tensor, torch.Tensor]],
    *,
    steps: int,
    max_lr: float = 5e-3,
    label_smoothing: float = 0.05,
) -> None:
    """Fit ``model`` in place on ``steps`` batches of (input, classes): AdamW, one-cycle rate.

    The model answers [..., classes], one row for each class number.
    """
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=max_lr, total_steps=steps)
    loss_of = nn.CrossEntropyLoss(label_smoothing=label_smoothing)
    model.train()
    for inputs, classes in batches:
        logits = model(inputs)
        loss = loss_of(logits.reshape(-1, logits.shape[-1]), classes.reshape(-1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    model.eval()


def export(
    model: nn.Module, inputs: Mapping[str, torch.Tensor], outputs: Sequence[str], path: Path
) -> None:
    """Write ``model``, traced with ``inputs`` by name, as one self-contained ONNX file."""
    torch.onnx.export(
        model,
        tuple(inputs.values()),
        path,
        input_names=list(inputs),
        output_names=list(outputs),
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


def run_onnx(path: Path, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """ONNX Runtime's outputs for ``inputs``, one sample at a time, samples along the first axis."""
    session = onnxruntime.InferenceSession(path)
    names = [value.name for value in session.get_inputs()]
    runs = [
        session.run(None, {name: inputs[name][i : i + 1] for name in names})
        for i in range(len(inputs[names[0]]))
    ]
    return [np.concatenate(output) for output in zip(*runs, strict=True)]


def describe(model: nn.Module, path: Path, test: Mapping[str, np.ndarray]) -> str:
    """One line: parameters, bytes, and ONNX Runtime's accuracy on ``test`` with its ``labels``."""
    logits = run_onnx(path, test)[0]
    accuracy = float(np.mean(logits.argmax(axis=-1) == test["labels"]))
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"{path.stem}: {parameters} parameters, {path.stat().st_size} bytes, "
        f"accuracy {accuracy:.4f} on {test['labels'].size} labels"
    )
