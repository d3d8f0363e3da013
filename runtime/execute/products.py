"""The matrices of a program on their arrays: partial sums of tile ranges, and input statistics."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import groupby, pairwise

import numpy as np

from ...backends.memcap.decode import Matrix, MemcapProgram
from ...backends.targets.chips import own_sites
from ...backends.targets.slicing import mean_level
from ...dialects.tile_table import position_bounds
from ...errors import ProgramError
from ..physics.streams import derive_key
from .crossbar import Mode as ArrayMode
from .crossbar import PreparedMatrix, prepare_matrix, run_exact, run_matrix

Tiles = tuple[int, int]
#: Called with the number of a matrix and the input of one of its products.
InputObserver = Callable[[int, np.ndarray], None]


@dataclass(frozen=True, slots=True)
class _Share:
    """Tiles (indices, rising) that read the positions of the copies ``first .. end``.

    Shares of equal ``held`` have the same tiles with the same ranges, in other arrays.
    """

    tiles: np.ndarray
    first: int
    end: int
    held: bytes


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
        self._shares: dict[tuple[int, Tiles], list[_Share]] = {}
        self._prepared: dict[tuple[int, bytes], PreparedMatrix] = {}
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
        bounds = position_bounds(rows.shape[1], matrix.copies)
        shares = [
            share
            for share in self._shares_of(number, tiles)
            if bounds[share.first] < bounds[share.end]
        ]
        if len(shares) == 1 and bounds[shares[0].end] - bounds[shares[0].first] == rows.shape[1]:
            y = self._run_share(number, shares[0].tiles, rows, stream)
        else:
            dtype = np.float64 if self.mode == "exact" else np.float32
            y = np.zeros((*rows.shape[:2], matrix.shape[2]), dtype)
            for _, alike in groupby(shares, key=lambda share: share.held):
                self._run_copies(number, list(alike), bounds, rows, stream, y)
        if self.mode != "exact" and matrix.bias is not None and tiles[0] == 0:
            y += self.program.program.tensors[matrix.bias][:, None]
        return y.reshape(*lead, matrix.shape[2])

    def _shares_of(self, number: int, tiles: Tiles) -> "list[_Share]":
        """Which of ``tiles`` read which positions.

        Where only codes count, neighbouring copies with the same tiles are read as one.
        """
        key = (number, tiles)
        if key not in self._shares:
            matrix = self.program.matrices[number]
            shares: list[_Share] = []
            for copy in np.unique(matrix.copy[slice(*tiles)]).tolist():
                index = tiles[0] + np.flatnonzero(matrix.copy[slice(*tiles)] == copy)
                held = matrix.tiles[index].tobytes() + matrix.adc_range[index].tobytes()
                last = shares[-1] if shares else None
                if self.mode != "noisy" and last and held == last.held and last.end == copy:
                    shares[-1] = replace(last, end=copy + 1)
                else:
                    shares.append(_Share(index, copy, copy + 1, held))
            self._shares[key] = shares
        return self._shares[key]

    def _run_copies(
        self,
        number: int,
        shares: list[_Share],
        bounds: np.ndarray,
        x: np.ndarray,
        stream: int,
        out: np.ndarray,
    ) -> None:
        """Put what ``shares`` with the same tiles make of their positions of ``x [G, P, K]`` into
        ``out [G, P, N]``.

        Copies are run together, as further groups of the matrix: a few positions each would be
        called for many times. Copies that read one position less than others read a row of zeros.
        """
        spans = [slice(bounds[share.first], bounds[share.end]) for share in shares]
        if len(shares) == 1 or self.mode == "exact":
            for share, span in zip(shares, spans, strict=True):
                out[:, span] = self._run_share(number, share.tiles, x[:, span], stream)
            return
        groups, _, depth = x.shape
        most = max(span.stop - span.start for span in spans)
        rows = np.zeros((len(shares), groups, most, depth), np.float32)
        for place, span in zip(rows, spans, strict=True):
            place[:, : span.stop - span.start] = x[:, span]
        index = np.concatenate([share.tiles for share in shares])
        y = self._run_share(number, index, rows.reshape(-1, most, depth), stream)
        for part, span in zip(y.reshape(len(shares), groups, most, -1), spans, strict=True):
            out[:, span] = part[:, : span.stop - span.start]

    def _run_share(self, number: int, index: np.ndarray, x: np.ndarray, stream: int) -> np.ndarray:
        """What the tiles ``index`` make of ``x [G, P, K]``, copies being further groups of it."""
        matrix = self.program.matrices[number]
        if self.mode == "exact":
            assert matrix.weights is not None
            return run_exact(self.program.program.tensors[matrix.weights], matrix.tiles[index], x)
        wide = np.ascontiguousarray(x, np.float32)
        parts = [
            run_matrix(self._prepare(number, part), wide, matrix.input_scale, name)
            for part, name in self._reads(matrix, index, stream)
        ]
        return parts[0] if len(parts) == 1 else np.sum(parts, axis=0)

    def _reads(
        self, matrix: Matrix, index: np.ndarray, stream: int
    ) -> list[tuple[np.ndarray, int]]:
        """The tiles ``index`` by what is read at once, and the name of each read for the noise.

        Streamed tiles of several rounds are read by the same converters, one round after another.
        """
        rounds = matrix.rounds[index]
        if self.mode != "noisy" or rounds[-1] <= 1:
            return [(index, stream)]
        cuts = [0, *(np.flatnonzero(np.diff(rounds)) + 1).tolist(), len(rounds)]
        return [
            (index[first:end], int(derive_key(stream, n)))
            for n, (first, end) in enumerate(pairwise(cuts))
        ]

    def _prepare(self, number: int, part: np.ndarray) -> PreparedMatrix:
        key = (number, part.tobytes())
        if key not in self._prepared:
            matrix, tensors = self.program.matrices[number], self.program.program.tensors
            assert matrix.codes is not None
            assert matrix.scale is not None
            worst = np.finfo(np.float32).max
            copies, copy = np.unique(matrix.copy[part], return_inverse=True)
            codes, scale = (
                np.concatenate([tensors[name]] * len(copies))
                for name in (matrix.codes, matrix.scale)
            )
            sites = own_sites(matrix.sites[part], self.program.target)
            ranges = np.minimum(matrix.adc_range[part], worst)
            mode: ArrayMode = "noisy" if self.mode == "noisy" else "quantized"
            table, target = matrix.tiles[part].copy(), self.program.target
            table[:, 0] += copy.reshape(-1).astype(np.int32) * matrix.shape[0]
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
                correction=self._correction(matrix, part) if mode == "noisy" else None,
            )
        return self._prepared[key]

    def _correction(self, matrix: Matrix, part: np.ndarray) -> np.ndarray | None:
        """What the digital side multiplies the columns of tiles ``part`` by, ``[slices, C]``."""
        if matrix.gain is None or not self.program.target.noise.is_on("divider"):
            return None
        tile_of_column = np.repeat(np.arange(len(matrix.tiles)), matrix.tiles[:, 4])
        gain = self.program.program.tensors[matrix.gain]
        return np.float32(1) / gain[:, np.isin(tile_of_column, part)]


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
