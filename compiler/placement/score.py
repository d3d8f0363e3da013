"""What a placement costs in traffic: the figures by which placements are compared."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...dialects.route_table import Traffic, product_traffic, reordered, within
from .machine import SiteGrid


@dataclass(frozen=True, slots=True)
class RoutedMatrix:
    """A matrix's tables (sorted by layer or not) and the positions it is read at an inference."""

    tiles: np.ndarray
    sites: np.ndarray
    routes: np.ndarray
    positions: float


@dataclass(frozen=True, slots=True)
class TrafficScore:
    """Traffic of one inference.

    ``mean_hops`` is over all legs, by bytes; ``array_hops`` over those between arrays alone,
    ``port_hops`` over those at the port.
    """

    byte_mm: float
    byte_hops: float
    mean_hops: float
    array_hops: float
    port_hops: float
    busiest_link_bytes: float


def score_traffic(
    matrices: Sequence[RoutedMatrix],
    grid: SiteGrid,
    x_bytes: float,
    y_bytes: float,
    step_mm: tuple[float, float],
) -> TrafficScore:
    """Traffic of ``matrices``, ``step_mm`` being the way from row to row and from column to column.

    ``busiest_link_bytes`` adds all products up: a bound on how long the links take.
    """
    total = np.zeros(5)
    loads = np.zeros((4, grid.rows, grid.cols))
    for matrix in matrices:
        for traffic in _by_layer(matrix, grid, x_bytes, y_bytes):
            total += matrix.positions * np.array(
                [
                    traffic.byte_hops,
                    traffic.byte_rows,
                    traffic.leg_bytes,
                    traffic.port_byte_hops,
                    traffic.port_bytes,
                ]
            )
            loads += matrix.positions * traffic.loads
    hops, along_cols, legs, port_hops, port_bytes = total.tolist()
    return TrafficScore(
        byte_mm=along_cols * step_mm[0] + (hops - along_cols) * step_mm[1],
        byte_hops=hops,
        mean_hops=_ratio(hops, legs),
        array_hops=_ratio(hops - port_hops, legs - port_bytes),
        port_hops=_ratio(port_hops, port_bytes),
        busiest_link_bytes=float(loads.max(initial=0.0)),
    )


def _by_layer(
    matrix: RoutedMatrix, grid: SiteGrid, x_bytes: float, y_bytes: float
) -> list[Traffic]:
    """What each layer of a matrix moves for one position."""
    order = np.argsort(matrix.sites[:, 0], kind="stable")
    tiles, sites = matrix.tiles[order], matrix.sites[order]
    routes = reordered(matrix.routes, order)
    cuts = np.flatnonzero(np.diff(sites[:, 0], prepend=-1)).tolist()
    found: list[Traffic] = []
    for first, end in zip(cuts, [*cuts[1:], len(sites)], strict=True):
        found += product_traffic(
            tiles[first:end],
            sites[first:end],
            within(routes, first, end),
            (grid.rows, grid.cols),
            x_bytes,
            y_bytes,
        )
    return found


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else 0.0
