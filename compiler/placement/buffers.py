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
    # What is placed so far, side by side: looked through once for every buffer.
    starts, ends, begins, stops = np.empty((4, len(sizes)), np.int64)
    placed = 0
    for index in order.tolist():
        alive = (begins[:placed] <= last[index]) & (stops[:placed] >= first[index])
        near = np.flatnonzero(alive)
        offset = _best_gap(starts[near], ends[near], int(sizes[index]), capacity_bytes)
        if offset >= 0:
            offsets[index] = offset
            starts[placed], ends[placed] = offset, offset + sizes[index]
            begins[placed], stops[placed] = first[index], last[index]
            placed += 1
    return offsets


def _best_gap(starts: np.ndarray, ends: np.ndarray, size: int, capacity: int) -> int:
    """Start of the smallest gap of at least ``size`` between the given byte ranges, or -1."""
    order = np.argsort(starts, kind="stable")
    starts = np.append(starts[order], capacity)
    ends = np.concatenate([[0], np.maximum.accumulate(ends[order])])
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
