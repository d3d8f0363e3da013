"""The matrices of a program on their arrays: partial sums of tile ranges, and input statistics."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from ...backends.memcap.decode import Matrix, MemcapProgram
from ...backends.targets.chips import own_sites
from ...backends.targets.slicing import mean_level
from ...errors import ProgramError
from ..physics.streams import derive_key
from .crossbar import Mode as ArrayMode
from .crossbar import PreparedMatrix, prepare_matrix, run_exact, run_matrix

Tiles = tuple[int, int]
#: Called with the number of a matrix and the input of one of its products.
InputObserver = Callable[[int, np.ndarray], None]


class Products:
    """Products of a program's matrices in one mode; arrays are prepared when first used.

    ``observe`` sees the input of every product once.
    """

    def __init__(
        self,
        program: MemcapProgram,
        mode: str,
        seed: int,
        observe: InputObserver | None = None,
    ) -> None:
        if mode not in ("exact", "quantized", "noisy"):
            raise ProgramError(f"mode must be exact, quantized or noisy, came {mode!r}")
        self.program, self.mode, self.seed = program, mode, seed
        self._observe = observe
        self._prepared: dict[tuple[int, Tiles], PreparedMatrix] = {}
        self._squares: dict[int, float] = {}
        self._counts: dict[int, int] = {}
        self._levels: dict[int, float] = {}
        for matrix in program.matrices:
            _check_stored(matrix, mode)

    @property
    def mean_squares(self) -> dict[int, float]:
        """By matrix, the mean square of all its inputs so far over their full scale."""
        return {m: self._squares[m] / n for m, n in self._counts.items() if n}

    @property
    def mean_levels(self) -> dict[int, float]:
        """By matrix that was read and has codes, the mean level of its stored slices."""
        for number in self._counts:
            codes = self.program.matrices[number].codes
            if codes is not None and number not in self._levels:
                tensor = self.program.program.tensors[codes]
                self._levels[number] = mean_level(tensor, self.program.target)
        return dict(self._levels)

    def count(self, number: int, tiles: Tiles, x: np.ndarray) -> None:
        """Take the input of a product into the statistics (once, at its first tiles)."""
        if tiles[0] or not x.size:
            return
        if self._observe is not None:
            self._observe(number, x)
        wide = x.astype(np.float32, copy=False)
        scale = self.program.matrices[number].input_scale
        if scale is None:
            square = np.einsum("...k,...k->...", wide, wide, dtype=np.float64)
            top = np.maximum(wide.max(axis=-1), -wide.min(axis=-1)).astype(np.float64)
            total = np.divide(square, top * top, out=np.zeros_like(square), where=top > 0).sum()
        else:
            unit = np.clip(wide / np.float32(scale or 1.0), -1, 1)
            total = np.square(unit).sum(dtype=np.float64)
        self._squares[number] = self._squares.get(number, 0.0) + float(total)
        self._counts[number] = self._counts.get(number, 0) + x.size

    def run(self, number: int, tiles: Tiles, x: np.ndarray, stream: int) -> np.ndarray:
        """The part of ``x @ matrix`` that ``tiles`` compute: float64 in exact mode, else float32.

        ``stream`` names this use of the arrays among all reads, for the noise.
        """
        matrix = self.program.matrices[number]
        lead = x.shape[:-1]
        rows = x if matrix.shape[0] > 1 else x[None]
        if self.mode == "exact":
            y = self._exact(number, tiles, rows)
        else:
            wide = np.ascontiguousarray(rows, np.float32)
            reads = self._reads(matrix, tiles, stream)
            parts = [
                run_matrix(self._prepare(number, part), wide, matrix.input_scale, name)
                for part, name in reads
            ]
            y = parts[0] if len(parts) == 1 else np.sum(parts, axis=0)
            if matrix.bias is not None and tiles[0] == 0:
                y += self.program.program.tensors[matrix.bias][:, None]
        return y.reshape(*lead, matrix.shape[2])

    def _reads(self, matrix: Matrix, tiles: Tiles, stream: int) -> list[tuple[Tiles, int]]:
        """``tiles`` by what is read at once, and the name of each read for the noise.

        Streamed tiles of several rounds are read by the same converters, one round after another.
        """
        rounds = matrix.rounds[slice(*tiles)]
        if self.mode != "noisy" or rounds[-1] <= 1:
            return [(tiles, stream)]
        cuts = [0, *(np.flatnonzero(np.diff(rounds)) + 1).tolist(), len(rounds)]
        return [
            ((tiles[0] + first, tiles[0] + end), int(derive_key(stream, n)))
            for n, (first, end) in enumerate(pairwise(cuts))
        ]

    def _exact(self, number: int, tiles: Tiles, x: np.ndarray) -> np.ndarray:
        matrix = self.program.matrices[number]
        assert matrix.weights is not None
        weights = self.program.program.tensors[matrix.weights]
        return run_exact(weights, matrix.tiles[slice(*tiles)], x)

    def _prepare(self, number: int, tiles: Tiles) -> PreparedMatrix:
        key = (number, tiles)
        if key not in self._prepared:
            matrix, tensors = self.program.matrices[number], self.program.program.tensors
            assert matrix.codes is not None
            assert matrix.scale is not None
            part = slice(*tiles)
            worst = np.finfo(np.float32).max
            codes, scale = tensors[matrix.codes], tensors[matrix.scale]
            sites = own_sites(matrix.sites[part], self.program.target)
            ranges = np.minimum(matrix.adc_range[part], worst)
            mode: ArrayMode = "noisy" if self.mode == "noisy" else "quantized"
            table, target = matrix.tiles[part], self.program.target
            self._prepared[key] = prepare_matrix(
                codes,
                scale,
                table,
                sites,
                target,
                mode,
                self.seed,
                ranges,
                partial=True,
                adc_bits=matrix.adc_bits,
                correction=self._correction(matrix, tiles) if mode == "noisy" else None,
            )
        return self._prepared[key]

    def _correction(self, matrix: Matrix, tiles: Tiles) -> np.ndarray | None:
        """What the digital side multiplies the columns of ``tiles`` by, ``[slices, C]``."""
        if matrix.gain is None or not self.program.target.noise.is_on("divider"):
            return None
        ends = np.cumsum([0, *matrix.tiles[:, 4]])
        gain = self.program.program.tensors[matrix.gain]
        return np.float32(1) / gain[:, ends[tiles[0]] : ends[tiles[1]]]


def _check_stored(matrix: Matrix, mode: str) -> None:
    if mode == "exact":
        if matrix.weights is None:
            raise ProgramError(
                "exact mode needs the weights, which this program does not hold",
                where=matrix.name,
                help="compile without --no-weights, or simulate in quantized mode",
            )
    elif matrix.codes is None or matrix.scale is None:
        raise ProgramError(
            f"{mode} mode needs weight codes, which this program does not hold",
            where=matrix.name,
            help="compile without --no-weights",
        )
