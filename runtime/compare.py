"""How far outputs are from a reference, and how often a classifier is right."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import InputError


@dataclass(frozen=True, slots=True)
class Difference:
    """Distance of one output from its reference.

    ``max_rel_error`` is relative to the reference's range (largest magnitude); ``sqnr_db`` is
    signal over error power; ``top1_agreement`` is None where no class dimension makes sense.
    """

    max_abs_error: float
    max_rel_error: float
    sqnr_db: float
    cosine: float
    top1_agreement: float | None

    def as_dict(self) -> dict[str, float | None]:
        return {
            "max_abs_error": self.max_abs_error,
            "max_rel_error": self.max_rel_error,
            "sqnr_db": self.sqnr_db,
            "cosine": self.cosine,
            "top1_agreement": self.top1_agreement,
        }


def compare(found: np.ndarray, reference: np.ndarray) -> Difference:
    """Compare arrays of one shape; equal infinities and equal NaNs are no difference."""
    if found.shape != reference.shape:
        raise InputError(f"outputs have shape {found.shape}, the reference {reference.shape}")
    a, b = found.astype(np.float64).ravel(), reference.astype(np.float64).ravel()
    with np.errstate(invalid="ignore"):
        error = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, a - b)
    finite = np.isfinite(b)
    scale = float(np.abs(b[finite]).max(initial=0.0))
    worst = float(np.abs(error).max(initial=0.0))
    noise = float(np.dot(error, error))
    signal = float(np.dot(b[finite], b[finite]))
    norms = float(np.linalg.norm(a[finite]) * np.sqrt(signal))
    return Difference(
        max_abs_error=worst,
        max_rel_error=worst / scale if scale else worst,
        sqnr_db=10 * np.log10(signal / noise) if noise and signal else float("inf"),
        cosine=float(np.dot(a[finite], b[finite])) / norms if norms else 1.0,
        top1_agreement=_top1(found, reference),
    )


def _top1(found: np.ndarray, reference: np.ndarray) -> float | None:
    if found.ndim < 2 or found.shape[-1] < 2 or found.dtype.kind != "f":
        return None
    return float((found.argmax(axis=-1) == reference.argmax(axis=-1)).mean())


def worst_of(differences: Mapping[str, Difference]) -> dict[str, float | None]:
    """One summary over all outputs: the worst of each figure."""
    items = list(differences.values())
    agreements = [d.top1_agreement for d in items if d.top1_agreement is not None]
    return {
        "max_abs_error": max(d.max_abs_error for d in items),
        "max_rel_error": max(d.max_rel_error for d in items),
        "sqnr_db": min(d.sqnr_db for d in items),
        "cosine": min(d.cosine for d in items),
        "top1_agreement": min(agreements) if agreements else None,
    }


def accuracy(scores: np.ndarray, labels: np.ndarray) -> float:
    """Share of samples whose largest score is at their label; scores [samples, ..., classes]."""
    predicted = scores.reshape(len(labels), -1, scores.shape[-1])
    if predicted.shape[1] != 1:
        raise InputError("accuracy needs one row of class scores a sample")
    return float((predicted[:, 0].argmax(axis=-1) == labels).mean())
