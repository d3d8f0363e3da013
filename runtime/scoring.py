"""Outputs of several samples as one array, and how often they are right by ``labels``."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ..arrays import input_specs
from ..errors import InputError
from .compare import accuracy

if TYPE_CHECKING:
    from ..backends.program import Program

#: The array beside the inputs that holds the right class of each sample.
LABELS = "labels"

Arrays = Mapping[str, np.ndarray]


def stack_outputs(runs: Sequence[Arrays]) -> dict[str, np.ndarray]:
    """Outputs of all samples along the first axis (one sample keeps its shape)."""
    if len(runs) == 1:
        return dict(runs[0])
    stacked = {}
    for name, first in runs[0].items():
        array = np.stack([run[name] for run in runs])
        drop = first.ndim > 0 and first.shape[0] == 1
        stacked[name] = array.reshape(len(runs), *first.shape[1:]) if drop else array
    return stacked


def labels_of(inputs: Arrays, program: "Program", samples: int) -> np.ndarray | None:
    """The right classes, [n] or [n * rows]; None without ``labels``, or when they are an input.

    ``labels`` holds one class number for each row of scores: [n], a column [n, 1], or, for models
    that answer several rows a sample, [n, rows] or the same flat.

    Raises InputError for labels of another kind: their accuracy would mean nothing.
    """
    labels = inputs.get(LABELS)
    if labels is None or LABELS in input_specs(program):
        return None
    classes = labels.reshape(-1)
    whole = labels.dtype.kind in "iuf" and bool((classes == np.floor(classes)).all())
    by_sample = labels.ndim < 2 or labels.shape[0] in (samples, labels.size)
    if not (whole and by_sample and labels.size and labels.size % samples == 0):
        raise InputError(
            f"{LABELS} must be one class number a row of scores, of {samples} samples; "
            f"got {labels.dtype} of shape {list(labels.shape)}"
        )
    return classes


def output_accuracy(outputs: Arrays, labels: np.ndarray) -> float:
    """Accuracy by the first output, whose last axis is that of the classes."""
    name, scores = next(iter(outputs.items()))
    if scores.ndim == 0 or scores.size != len(labels) * scores.shape[-1]:
        raise InputError(
            f"accuracy needs one row of class scores a label, {len(labels)} in all; output "
            f"{name!r} has shape {list(scores.shape)}",
            help=f"leave {LABELS} out of the data",
        )
    return accuracy(scores, labels)
