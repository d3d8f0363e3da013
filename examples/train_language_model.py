"""Train a small causal transformer on characters and export it to ONNX.

    pip install torch onnx onnxscript onnxruntime
    python examples/train_language_model.py

The text is ``devils_dictionary.txt`` beside this file: The Devil's Dictionary by Ambrose Bierce
(1911), in the public domain, as the Debian package ``dict-devil`` ships it. The last tenth of it is
held out. Writes ``char_lm.onnx`` (64 character numbers in, 64 rows of logits for the characters
that follow), ``char_lm_test.npz`` (windows of the held-out text, with the characters that follow as
``labels``) and ``char_lm_calibration.npz`` (windows of the training text). A character's number is
its place in the sorted set of the text's characters. Everything is seeded; ONNX Runtime measures
the accuracy that is printed.
"""

from collections.abc import Iterator

import numpy as np
import torch
from torch import nn
from training import HERE, TransformerBlock, describe, export, fit

CONTEXT = 64
BATCH = 48
STEPS = 2500
TEST_WINDOWS = 128
CALIBRATION_WINDOWS = 32


class CharacterModel(nn.Module):
    """Three causal transformer blocks over 64 characters."""

    def __init__(self, characters: int, width: int = 96, heads: int = 4, blocks: int = 3) -> None:
        super().__init__()
        self.embed = nn.Embedding(characters, width)
        self.positions = nn.Parameter(0.02 * torch.randn(CONTEXT, width))
        self.blocks = nn.Sequential(
            *(
                TransformerBlock(width, heads, CONTEXT, causal=True, dropout=0.1)
                for _ in range(blocks)
            )
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, characters)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.blocks(self.embed(tokens) + self.positions)))


def random_windows(text: torch.Tensor) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of windows of ``text`` and the same moved on by one character."""
    offsets = torch.arange(CONTEXT)
    for _ in range(STEPS):
        at = torch.randint(0, len(text) - CONTEXT, (BATCH, 1)) + offsets
        yield text[at], text[at + 1]


def even_windows(text: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """``count`` windows that do not overlap, evenly spread, and the characters that follow."""
    starts = np.linspace(0, len(text) - CONTEXT - 1, count).astype(int)
    at = starts[:, None] + np.arange(CONTEXT)
    return text[at], text[at + 1]


def main() -> None:
    text = (HERE / "devils_dictionary.txt").read_text(encoding="ascii")
    characters = sorted(set(text))
    codes = np.array([characters.index(character) for character in text], np.int64)
    train, held_out = np.split(codes, [len(codes) * 9 // 10])
    tokens, labels = even_windows(held_out, TEST_WINDOWS)
    test = {"tokens": tokens, "labels": labels}
    np.savez_compressed(HERE / "char_lm_test.npz", **test)
    calibration, _ = even_windows(train, CALIBRATION_WINDOWS)
    np.savez_compressed(HERE / "char_lm_calibration.npz", tokens=calibration)

    torch.manual_seed(0)
    model = CharacterModel(len(characters))
    batches = random_windows(torch.from_numpy(train))
    fit(model, batches, steps=STEPS, max_lr=3e-3, label_smoothing=0.0)
    path = HERE / "char_lm.onnx"
    export(model, {"tokens": torch.from_numpy(tokens[:1])}, ["logits"], path)
    print(describe(model, path, test))


if __name__ == "__main__":
    main()
