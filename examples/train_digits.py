"""Train the digit classifiers of this folder and export them to ONNX.

    pip install torch scikit-learn onnx onnxscript onnxruntime
    python examples/train_digits.py [NAME ...]

Writes beside this file ``digits_mlp.onnx``, ``digits_cnn.onnx``, ``digits_transformer.onnx``,
``digits_lstm.onnx`` (or those named), the held-out test set ``digits_test.npz`` (450 of the 1797
samples of scikit-learn's digits, stratified by class) and a calibration set
``digits_calibration.npz`` (128 training samples). Pixels are scaled to 0..1. The test samples take
no part in training. Everything is seeded; ONNX Runtime measures the accuracy that is printed.
"""

import sys
from collections.abc import Iterator

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from training import HERE, TransformerBlock, describe, export, fit

HELD_OUT = 450
CALIBRATION = 128
BATCH = 64


def make_mlp() -> nn.Module:
    """64-128-64-10 with ReLU, on the image flattened."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 128),
        nn.ReLU(),
        nn.Dropout(0.2),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, 10),
    )


def make_cnn() -> nn.Module:
    """Three 3x3 convolutions with batch normalisation, two poolings, two linear layers."""
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Dropout(0.3), nn.Linear(128, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


class DigitTransformer(nn.Module):
    """Two transformer blocks of width 48 over 16 patches of 2x2 pixels, averaged."""

    def __init__(self, width: int = 48, heads: int = 4) -> None:
        super().__init__()
        self.embed = nn.Linear(4, width)
        self.positions = nn.Parameter(0.02 * torch.randn(16, width))
        self.blocks = nn.Sequential(
            *(TransformerBlock(width, heads, 16, dropout=0.1) for _ in range(2))
        )
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        patches = image.reshape(-1, 4, 2, 4, 2).permute(0, 1, 3, 2, 4).reshape(-1, 16, 4)
        x = self.blocks(self.embed(patches) + self.positions)
        return self.head(self.norm(x).mean(dim=1))


class DigitLSTM(nn.Module):
    """Two LSTM layers of 64 cells that read the eight rows of pixels from top to bottom."""

    def __init__(self, cells: int = 64) -> None:
        super().__init__()
        self.lstm = nn.LSTM(8, cells, num_layers=2, batch_first=True, dropout=0.2)
        self.head = nn.Linear(cells, 10)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        states, _ = self.lstm(image.squeeze(1))
        return self.head(states[:, -1])


# What each model is made by, and for how many epochs it is trained.
MODELS = {
    "digits_mlp": (make_mlp, 120),
    "digits_cnn": (make_cnn, 60),
    "digits_transformer": (DigitTransformer, 150),
    "digits_lstm": (DigitLSTM, 120),
}


def shift(images: torch.Tensor) -> torch.Tensor:
    """Move each 8x8 image by up to one pixel in both directions, filling with zeros."""
    padded = nn.functional.pad(images, (1, 1, 1, 1))
    rows, columns = torch.randint(0, 3, (2, len(images)))
    steps = torch.arange(8)
    return padded[
        torch.arange(len(images))[:, None, None, None],
        0,
        (rows[:, None] + steps)[:, None, :, None],
        (columns[:, None] + steps)[:, None, None, :],
    ]


def shuffled(
    images: torch.Tensor, labels: torch.Tensor, epochs: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Batches of shifted images and their labels, in another order each epoch."""
    for _ in range(epochs):
        for chosen in torch.randperm(len(images)).split(BATCH):
            yield shift(images[chosen]), labels[chosen]


def main() -> None:
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[:, None]
    train_x, test_x, train_y, test_y = train_test_split(
        images, digits.target, test_size=HELD_OUT, random_state=0, stratify=digits.target
    )
    test = {"image": test_x, "labels": test_y.astype(np.int64)}
    np.savez_compressed(HERE / "digits_test.npz", **test)
    np.savez_compressed(HERE / "digits_calibration.npz", image=train_x[:CALIBRATION])
    for name in sys.argv[1:] or MODELS:
        make, epochs = MODELS[name]
        torch.manual_seed(0)
        model = make()
        batches = shuffled(torch.from_numpy(train_x), torch.from_numpy(train_y), epochs)
        fit(model, batches, steps=epochs * -(-len(train_x) // BATCH))
        path = HERE / f"{name}.onnx"
        export(model, {"image": torch.zeros(1, 1, 8, 8)}, ["logits"], path)
        print(describe(model, path, test))


if __name__ == "__main__":
    main()
