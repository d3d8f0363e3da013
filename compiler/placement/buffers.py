"""Allocates buffers in one memory by liveness: greedy by size, best gap.

Pisarchyk and Lee, "Efficient memory management for deep neural net inference" (2020), section 5,
offset calculation: largest buffer first, into the smallest gap between buffers alive with it.
"""

import numpy as np

ALIGNMENT_BYTES = 64


def allocate(
    sizes: np.ndarray, first: np.ndarray, last: np.ndarray, capacity_bytes: int
) -> np.ndarray:
    """Byte offsets, int64 [n], of buffers alive in slots ``first .. last`` inclusive.

    A buffer that finds no gap below ``capacity_bytes`` gets -1. Buffers alive together never share
    a byte. Offsets are multiples of 64.
    """
    sizes = -(-np.maximum(np.asarray(sizes, np.int64), 1) // ALIGNMENT_BYTES) * ALIGNMENT_BYTES
    offsets = np.full(len(sizes), -1, np.int64)
    order = np.lexsort((np.arange(len(sizes)), first, -sizes))
    placed = np.empty(0, np.int64)
    for index in order.tolist():
        near = placed[(first[placed] <= last[index]) & (last[placed] >= first[index])]
        offset = _best_gap(offsets[near], sizes[near], int(sizes[index]), capacity_bytes)
        if offset >= 0:
            offsets[index] = offset
            placed = np.append(placed, index)
    return offsets


def _best_gap(offsets: np.ndarray, sizes: np.ndarray, size: int, capacity: int) -> int:
    """Start of the smallest gap of at least ``size`` between the given buffers, or -1."""
    order = np.argsort(offsets, kind="stable")
    starts = np.append(offsets[order], capacity)
    ends = np.concatenate([[0], np.maximum.accumulate((offsets + sizes)[order])])
    gaps = starts - ends
    fits = np.flatnonzero(gaps >= size)
    if not len(fits):
        return -1
    # The open end beyond the last buffer counts as the largest gap.
    inner = fits[fits < len(gaps) - 1]
    best = inner[np.argmin(gaps[inner])] if len(inner) else fits[-1]
    return int(ends[best])


def live_peak_bytes(sizes: np.ndarray, first: np.ndarray, last: np.ndarray) -> int:
    """Bytes alive at the busiest slot: no allocation can do with less."""
    if not len(sizes):
        return 0
    change = np.zeros(int(np.max(last)) + 2, np.int64)
    np.add.at(change, first, sizes)
    np.add.at(change, np.asarray(last) + 1, -np.asarray(sizes, np.int64))
    return int(np.cumsum(change).max())
