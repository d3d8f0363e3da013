"""Train the two digit classifiers of this folder and export them to ONNX.

    pip install torch scikit-learn onnx onnxscript onnxruntime
    python examples/train_digits.py

Writes beside this file ``digits_mlp.onnx``, ``digits_cnn.onnx``, the held-out test set
``digits_test.npz`` (450 of the 1797 samples of scikit-learn's digits, stratified by class) and a
calibration set ``digits_calibration.npz`` (128 training samples). Pixels are scaled to 0..1.
The test samples take no part in training. Everything is seeded; ONNX Runtime measures the accuracy
that is printed.
"""

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

HERE = Path(__file__).parent
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


def train(model: nn.Module, images: torch.Tensor, labels: torch.Tensor, epochs: int) -> None:
    """Fit ``model`` in place: AdamW, one-cycle learning rate, label smoothing, shifted images."""
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=1e-2)
    batches = -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=5e-3, total_steps=epochs * batches
    )
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    model.train()
    for _ in range(epochs):
        for chosen in torch.randperm(len(images)).split(BATCH):
            loss = loss_of(model(shift(images[chosen])), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    model.eval()


def export(model: nn.Module, path: Path) -> None:
    """Write ``model`` for a batch of one, as one self-contained file."""
    torch.onnx.export(
        model,
        (torch.zeros(1, 1, 8, 8),),
        path,
        input_names=["image"],
        output_names=["logits"],
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


def accuracy(path: Path, images: np.ndarray, labels: np.ndarray) -> float:
    """The share of ``images`` that ONNX Runtime classifies as ``labels``."""
    session = onnxruntime.InferenceSession(path)
    logits = [session.run(None, {"image": image[None]})[0][0] for image in images]
    return float(np.mean(np.argmax(logits, axis=-1) == labels))


def main() -> None:
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)[:, None]
    train_x, test_x, train_y, test_y = train_test_split(
        images, digits.target, test_size=HELD_OUT, random_state=0, stratify=digits.target
    )
    np.savez_compressed(HERE / "digits_test.npz", image=test_x, labels=test_y.astype(np.int64))
    np.savez_compressed(HERE / "digits_calibration.npz", image=train_x[:CALIBRATION])
    for name, make, epochs in (("digits_mlp", make_mlp, 120), ("digits_cnn", make_cnn, 60)):
        torch.manual_seed(0)
        model = make()
        train(model, torch.from_numpy(train_x), torch.from_numpy(train_y), epochs)
        path = HERE / f"{name}.onnx"
        export(model, path)
        share = accuracy(path, test_x, test_y)
        parameters = sum(p.numel() for p in model.parameters())
        print(f"{name}: {parameters} parameters, {path.stat().st_size} bytes, accuracy {share:.4f}")


if __name__ == "__main__":
    main()
