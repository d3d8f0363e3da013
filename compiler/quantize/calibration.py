"""What calibration runs show of the inputs of each stored matrix.

    calibration = Calibration()
    interpret_function(main, sample, weights, observe=calibration.observe)     for each sample
    ctx.calibration = calibration

``observe`` is called with every executed op, its operands and results; only ``tile.mvm`` counts.
"""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Operation

from ...dialects import tile
from .range_method import RangeMethod

Array = NDArray[np.float32]

ROWS = 256
"""Input rows kept for each matrix, in every group."""

_MSE = RangeMethod()
_CLIPS = np.geomspace(0.1, 1.0, 24)
"""Input scales that are tried, as shares of the largest magnitude."""


@dataclass(slots=True, eq=False)
class MatrixStatistics:
    """Inputs seen by one matrix: largest magnitude, and a uniform sample of rows."""

    absmax: float = 0.0
    seen: int = 0
    """Rows (positions) seen, of each group."""
    rows: Array = field(default_factory=lambda: np.empty((0, 0, 0), np.float32))
    """float32 ``[groups, at most ROWS, K]``."""
    _keys: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))

    def add(self, x: np.ndarray, rng: np.random.Generator) -> None:
        """Take in ``x``, ``[P, K]`` or ``[groups, P, K]``; non-finite values do not count."""
        x = x if x.ndim == 3 else x[None]
        if x.size == 0:
            return
        self.absmax = max(self.absmax, _largest_magnitude(x))
        self.seen += x.shape[1]
        # Each row draws a key; the rows of the smallest keys are a uniform sample of all seen.
        keys = rng.random((x.shape[1],))
        full = len(self._keys) == ROWS
        chosen = np.flatnonzero(keys < (self._keys.max() if full else 1.0))
        if len(chosen) > ROWS:
            chosen = np.sort(chosen[np.argpartition(keys[chosen], ROWS - 1)[:ROWS]])
        if not len(chosen):
            return
        picked = np.nan_to_num(x[:, chosen].astype(np.float32), posinf=0.0, neginf=0.0)
        known = self.rows if self.rows.size else picked[:, :0]
        keys = np.concatenate([self._keys, keys[chosen]])
        rows = np.concatenate([known, picked], axis=1)
        kept = np.sort(np.argsort(keys, kind="stable")[:ROWS])
        self._keys, self.rows = keys[kept], np.ascontiguousarray(rows[:, kept])

    def input_scale(self, input_bits: int, method: RangeMethod = _MSE) -> float:
        """The full scale by ``method``: at most ``absmax``; 0 when all inputs were 0."""
        if method.percentile == 100:
            return self.absmax
        if method.percentile is not None:
            return float(np.percentile(np.abs(self.rows), method.percentile)) or self.absmax
        best, least = self.absmax, np.inf
        for clip in _CLIPS * self.absmax:
            error = self.code_error(input_bits, np.float32(clip))
            if error < least:
                best, least = float(clip), error
        return best

    def code_error(self, input_bits: int, scale: np.float32 | None) -> float:
        """Mean squared error of the inputs' codes under ``scale``; None: the largest magnitude of
        each row, found while running."""
        magnitudes = np.abs(self.rows)
        if not magnitudes.size:
            return 0.0
        tops = magnitudes.max(axis=-1, keepdims=True) if scale is None else np.float32(scale)
        steps = 2 ** (input_bits - 1) - 1
        step = np.maximum(tops / np.float32(steps), np.finfo(np.float32).tiny)
        codes = np.minimum(np.rint(magnitudes / step), steps)
        return float(np.square(codes * step - magnitudes, dtype=np.float64).mean())

    def split(self) -> tuple[Array, Array]:
        """Rows to fit on and held-out rows to check on, ``[groups, P, K]`` each: every fourth row
        is held out."""
        held_out = np.arange(self.rows.shape[1]) % 4 == 3
        return self.rows[:, ~held_out], self.rows[:, held_out]


class Calibration(Mapping[str, MatrixStatistics]):
    """Statistics by the weight name of ``tile.program``."""

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._matrices: dict[str, MatrixStatistics] = {}
        self._random: dict[str, np.random.Generator] = {}

    def observe(
        self, op: Operation, inputs: Sequence[np.ndarray], outputs: Sequence[np.ndarray]
    ) -> None:
        """Take in one executed op; the operands of ``tile.mvm`` are the crossbar and ``x``."""
        if not isinstance(op, tile.MvmOp) or not isinstance(op.crossbar.owner, tile.ProgramOp):
            return
        key = op.crossbar.owner.weight.data
        if key not in self._matrices:
            self._matrices[key] = MatrixStatistics()
            # A generator of its own, so that a sample does not hang on the other matrices.
            self._random[key] = np.random.default_rng([self._seed, zlib.crc32(key.encode())])
        self._matrices[key].add(inputs[1], self._random[key])

    def __getitem__(self, key: str) -> MatrixStatistics:
        return self._matrices[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._matrices)

    def __len__(self) -> int:
        return len(self._matrices)


def _largest_magnitude(x: np.ndarray) -> float:
    top = max(float(x.max()), -float(x.min()))
    if np.isfinite(top):
        return top
    finite = x[np.isfinite(x)]
    return float(np.abs(finite).max()) if finite.size else 0.0
