"""Lower bounds on the bins of a two-dimensional packing, by dual feasible functions.

A dual feasible function f with f(C) = F keeps every packing valid: lengths that fit side by side in
C have values that sum to at most F. So for two of them ceil(sum f(h) g(w) / (F G)) bounds the bins
(Fekete and Schepers, Math. Methods Oper. Res. 60, 2004). The families are f0, f2 and u as surveyed
by Clautiaux, Alves and Valerio de Carvalho, Ann. Oper. Res. 179, 2010; f0 is behind the bound of
Martello and Vigo, Management Science 44, 1998.
"""

import numpy as np

#: Parameters of each family and side that are tried, spread over those that differ.
_PARAMETERS = 24


def packing_bound(
    sizes: np.ndarray, bin_rows: int, bin_cols: int, counts: np.ndarray | None = None
) -> int:
    """Bins of ``bin_rows`` x ``bin_cols`` that ``sizes`` int [n, 2] need at least.

    ``counts`` [n] says how often each size occurs; once where it is absent.
    """
    if not len(sizes):
        return 0
    times = np.ones(len(sizes), np.int64) if counts is None else counts
    f, full_f = _dual_feasible(sizes[:, 0], bin_rows)
    g, full_g = _dual_feasible(sizes[:, 1], bin_cols)
    # Values are whole numbers, and their products stay far below 2^53.
    sums = (f * times) @ g.T
    full = full_f[:, None] * full_g
    return int(np.ceil(sums / full - 1e-9).max())


def _dual_feasible(lengths: np.ndarray, full: int) -> tuple[np.ndarray, np.ndarray]:
    """Values [functions, n] of ``lengths`` in ``full``, and each function's value of ``full``."""
    x = np.asarray(lengths, np.int64)
    distinct = np.unique(x)
    cuts = _spread(np.unique(np.minimum(distinct, full - distinct)))
    cuts = cuts[(cuts > 0) & (2 * cuts <= full)][:, None]
    values, fulls = [x[None]], [np.array([full])]
    if len(cuts):
        # f0: what cannot stand beside a length of `cut` counts as all, what is shorter as nothing.
        values.append(np.where(x > full - cuts, full, np.where(x < cuts, 0, x)))
        fulls.append(np.full(len(cuts), full))
        # f2: whole multiples of `cut`, counted from above for what is longer than half.
        above = 2 * (full // cuts - (full - x) // cuts)
        values.append(
            np.where(2 * x > full, above, np.where(2 * x == full, full // cuts, 2 * (x // cuts)))
        )
        fulls.append(2 * (full // cuts[:, 0]))
    # u: rounded to k-ths, except where the length is a whole multiple of a (k + 1)-th.
    k = _spread(np.arange(1, min(full, 100)))[:, None] if full > 1 else np.ones((1, 1), np.int64)
    parts = (k + 1) * x
    values.append(np.where(parts % full == 0, k * x, parts // full * full))
    fulls.append(k[:, 0] * full)
    return np.concatenate(values).astype(np.float64), np.concatenate(fulls).astype(np.float64)


def _spread(values: np.ndarray) -> np.ndarray:
    """At most ``_PARAMETERS`` of ``values``, evenly by rank."""
    if len(values) <= _PARAMETERS:
        return values
    return values[np.linspace(0, len(values) - 1, _PARAMETERS).astype(np.int64)]
