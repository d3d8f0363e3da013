"""The stored matrices of well-known networks, from their papers: data for ``pack.py``.

A k x k convolution in groups is ``groups`` matrices of (k k in / groups) x (out / groups). What is
left of the published parameters is listed with each: biases, norms and embeddings are in no array.
``tests/unit/test_pack_benchmark.py`` holds the sums to the published totals.
"""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class StoredMatrix:
    """``groups`` matrices of ``rows`` x ``cols``, multiplied with ``positions`` vectors each."""

    groups: int
    rows: int
    cols: int
    positions: int


@dataclass(frozen=True, slots=True)
class Network:
    """Matrices, the published parameter total, and the parameters that are in no matrix here."""

    matrices: tuple[StoredMatrix, ...]
    published: int
    elsewhere: int
    source: str


def conv(kernel: int, ins: int, outs: int, size: int, groups: int = 1) -> StoredMatrix:
    """A convolution whose output is ``size`` x ``size``."""
    return StoredMatrix(groups, kernel * kernel * ins // groups, outs // groups, size * size)


def dense(rows: int, cols: int, positions: int = 1) -> StoredMatrix:
    return StoredMatrix(1, rows, cols, positions)


def resnet50() -> Iterator[StoredMatrix]:
    """He et al., CVPR 2016, table 1: bottlenecks of 1x1, 3x3, 1x1, projections at the first."""
    yield conv(7, 3, 64, 112)
    ins = 64
    for width, blocks, size in ((64, 3, 56), (128, 4, 28), (256, 6, 14), (512, 3, 7)):
        for block in range(blocks):
            # The stride stands in the 3x3 convolution (v1.5), so the first 1x1 sees the old size.
            before = size * 2 if block == 0 and width > 64 else size
            yield conv(1, ins, width, before)
            yield conv(3, width, width, size)
            yield conv(1, width, 4 * width, size)
            if block == 0:
                yield conv(1, ins, 4 * width, size)
            ins = 4 * width
    yield dense(2048, 1000)


def mobilenet_v2() -> Iterator[StoredMatrix]:
    """Sandler et al., CVPR 2018, table 2: expansion, depthwise 3x3, projection."""
    yield conv(3, 3, 32, 112)
    ins, size = 32, 112
    for expand, outs, blocks, stride in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):  # fmt: skip
        for block in range(blocks):
            wide = expand * ins
            if expand > 1:
                yield conv(1, ins, wide, size)
            size //= stride if block == 0 else 1
            yield conv(3, wide, wide, size, groups=wide)
            yield conv(1, wide, outs, size)
            ins = outs
    yield conv(1, 320, 1280, 7)
    yield dense(1280, 1000)


def bert_base(tokens: int = 128) -> Iterator[StoredMatrix]:
    """Devlin et al., NAACL 2019: 12 layers of width 768, without the pooler."""
    for _ in range(12):
        yield from (dense(768, 768, tokens) for _ in range(4))
        yield dense(768, 3072, tokens)
        yield dense(3072, 768, tokens)


def smollm_135m() -> Iterator[StoredMatrix]:
    """SmolLM-135M (Hugging Face, 2024): 30 layers, width 576, 9 heads and 3 of keys, of 64 each.

    One token at a time; the tied embedding is in no array.
    """
    for _ in range(30):
        yield dense(576, 576)
        yield dense(576, 192)
        yield dense(576, 192)
        yield dense(576, 576)
        yield from (dense(576, 1536) for _ in range(2))
        yield dense(1536, 576)


def vit_tiny() -> Iterator[StoredMatrix]:
    """DeiT-Ti (Touvron et al., ICML 2021): 12 layers of width 192 on 14 x 14 patches of 16 x 16."""
    yield dense(3 * 16 * 16, 192, 196)
    for _ in range(12):
        yield from (dense(192, 192, 197) for _ in range(4))
        yield dense(192, 768, 197)
        yield dense(768, 192, 197)
    yield dense(192, 1000)


NETWORKS: dict[str, Network] = {
    "resnet50": Network(
        tuple(resnet50()), 25_557_032, 53_120 + 1_000, "torchvision: norms, bias of the classifier"
    ),
    "mobilenetv2": Network(
        tuple(mobilenet_v2()), 3_504_872, 34_112 + 1_000, "torchvision: norms, classifier's bias"
    ),
    "bert-base": Network(
        tuple(bert_base()),
        109_482_240,
        # Embeddings and their norm; pooler; biases and norms of each layer.
        (30_522 + 512 + 2 + 2) * 768 + 769 * 768 + 12 * (9 * 768 + 3072),
        "bert-base-uncased",
    ),
    "smollm-135m": Network(
        tuple(smollm_135m()), 134_515_008, 49_152 * 576 + 30 * 2 * 576 + 576, "SmolLM-135M"
    ),
    "vit-tiny": Network(
        tuple(vit_tiny()),
        5_717_416,
        # Class token and positions; biases of patches, head and layers; norms.
        198 * 192 + 192 + 1_000 + 12 * (4 * 192 + 768 + 192 + 4 * 192) + 2 * 192,
        "deit_tiny_patch16_224",
    ),
}
