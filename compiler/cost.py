"""Estimated time and energy of operations, where a choice hangs on them.

A grouped convolution goes to block-diagonal arrays or to the vector engine. These figures are
first-order: one read of an array a position, all arrays at once, no contention. The simulator does
not use them.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from xdsl.ir import Operation

from ..backends.targets import SUM_BYTES
from ..backends.targets.memcap_cost import (
    ProductLoad,
    ProductTimes,
    host_latency_s,
    mvm_latency_s,
    product_latency_s,
    range_search_latency_s,
    sram_latency_s,
    vector_latency_s,
)
from ..dialects import tile
from ..dialects.control import repetitions
from ..dialects.place import BufferType
from ..dialects.tensor_ops import TensorOp
from ..dialects.types import shape_of
from .placement.bufferize import renamed_offset
from .tile_work import op_work

if TYPE_CHECKING:
    from ..backends.targets import MemcapTarget


@dataclass(frozen=True, slots=True)
class MachineCosts:
    """What the choice needs to know of a machine; the defaults are those of ``memcap-demo``."""

    array_rows: int = 128
    array_weight_cols: int = 32
    read_ns: float = 420.0
    """From the row step to the last conversion of an array."""
    row_pj: float = 1.65
    """Drive of one row of an array, converter and line."""
    column_pj: float = 7.6
    """Conversions of one column of weights, all slices."""
    vector_ops_per_ns: float = 6.4
    vector_mac_pj: float = 4.6
    access_pj: float = 50.0
    """One float32 element read from or written to the buffer."""


def costs_of(target: "MemcapTarget") -> MachineCosts:
    """The costs of a target, from its constants.

    Rows are charged to half of full capacitance; a column's slices are converted one by one.
    """
    array, adc, vector = target.array, target.adc, target.vector
    cells_ff = array.cols * (array.c_on_ff + array.c_off_ff) / 2
    line_ff = array.line_um[0] * array.line_capacitance_ff_um
    row_fj = target.dac.energy_fj + (cells_ff + line_ff) * array.read_voltage_v**2
    return MachineCosts(
        array_rows=array.rows,
        array_weight_cols=target.weight_cols,
        read_ns=mvm_latency_s(target, 1, target.weight_cols) * 1e9,
        row_pj=target.pulses_per_input * row_fj * 1e-3,
        column_pj=target.slices * target.numerics.pulses * adc.energy_fj * 1e-3,
        vector_ops_per_ns=vector.lanes * vector.clock_ghz,
        vector_mac_pj=vector.energy_pj.add + vector.energy_pj.mul,
        access_pj=4 * target.sram.energy_pj_per_byte,
    )


#: Links of the port that the trees of a matrix share, where its place is not known: arrays beside
#: the port are reached by two of its four, along the row first and along the column first.
_PORT_LINKS = 2


def product_times(
    op: tile.ProgramOp, positions: int, copies: int, target: "MemcapTarget", arrays_before: int = 0
) -> ProductTimes:
    """Times of a product of ``positions``, if the matrix lay in ``copies`` around the port, outside
    of ``arrays_before`` others. An input leaves the port once for each copy that reads it."""
    assert isinstance(op.result.type, tile.CrossbarType)
    groups, rows, cols = op.result.type.shape
    tiles = op.tile_table[: len(op.tile_table) // op.copies]
    hops = _hops_around(arrays_before + copies * len(tiles), target)
    load = ProductLoad(
        most=-(-positions // copies),
        rounds=[(int(tiles[:, 4].max()),)],
        in_bytes=positions * groups * rows * target.code_bytes / _PORT_LINKS,
        out_bytes=positions * groups * cols * SUM_BYTES / _PORT_LINKS,
        in_hops=hops,
        out_hops=hops,
    )
    bits = None if op.adc_bits is None else op.adc_bits.value.data
    return product_latency_s(target, load, bits)


def _hops_around(arrays: int, target: "MemcapTarget") -> int:
    """Hops and vias to the last of ``arrays`` that fill layer after layer from the port on.

    A diamond of r hops holds 2 r^2 sites.
    """
    plane = target.stack.grid_rows * target.stack.grid_cols
    layer, around = divmod(arrays - 1, plane)
    return math.ceil(math.sqrt((plane if layer else around + 1) / 2)) + layer + 1


def search_latency_s(op: tile.ProgramOp, positions: int, target: "MemcapTarget") -> float:
    """Time before a product in which the range of each input is found, where none is known."""
    if op.input_scale is not None:
        return 0.0
    assert isinstance(op.result.type, tile.CrossbarType)
    groups, rows, _ = op.result.type.shape
    elements = groups * positions * rows
    return range_search_latency_s(target, elements, 4 * elements)


def digital_latency_s(op: Operation, target: "MemcapTarget") -> float:
    """Time of a ``tile`` op on the vector engine or the host; 0 for one that takes none."""
    if not isinstance(op, TensorOp) or renamed_offset(op) is not None:
        return 0.0
    work = op_work(op)
    if op.KIND == "host":
        return host_latency_s(target, 2 * work.macs + work.elementwise, 0)
    results = sum(prod(shape_of(y)) for y in op.results)
    nbytes = sum(BufferType.of(value.type).nbytes for value in (*op.operands, *op.results))
    busy_s = vector_latency_s(target, work.by_class(results))
    return max(busy_s, sram_latency_s(target, nbytes))


def digital_time_s(ops: Iterable[Operation], target: "MemcapTarget") -> float:
    """Time of the vector engine and the host for ``ops`` in one inference."""
    return sum(digital_latency_s(op, target) * repetitions(op) for op in ops)


@dataclass(frozen=True, slots=True)
class Estimate:
    """Time and energy of one execution."""

    time_ns: float
    energy_pj: float

    @property
    def product(self) -> float:
        """Energy times delay, the figure of merit."""
        return self.time_ns * self.energy_pj


def block_diagonal_arrays(groups: int, rows: int, cols: int, costs: MachineCosts) -> int:
    """Arrays that ``groups`` matrices of ``rows`` x ``cols`` take, small ones on one diagonal."""
    together = min(costs.array_rows // rows, costs.array_weight_cols // cols)
    if together:
        return -(-groups // together)
    return groups * -(-rows // costs.array_rows) * -(-cols // costs.array_weight_cols)


def array_use(groups: int, rows: int, cols: int, costs: MachineCosts) -> float:
    """Share of the cells of those arrays that hold a weight."""
    arrays = block_diagonal_arrays(groups, rows, cols, costs)
    return groups * rows * cols / (arrays * costs.array_rows * costs.array_weight_cols)


def on_arrays(groups: int, rows: int, cols: int, positions: int, costs: MachineCosts) -> Estimate:
    """The convolution as im2col rows driven through block-diagonal arrays.

    Each row element is read, written to its row and read again by the row driver.
    """
    gathered, results = positions * groups * rows, positions * groups * cols
    row_blocks = -(-rows // costs.array_rows)
    col_blocks = -(-cols // costs.array_weight_cols)
    reads_pj = groups * (rows * col_blocks * costs.row_pj + cols * row_blocks * costs.column_pj)
    return Estimate(
        positions * costs.read_ns + gathered / costs.vector_ops_per_ns,
        positions * reads_pj + (3 * gathered + results) * costs.access_pj,
    )


def on_vector_engine(
    groups: int, rows: int, cols: int, positions: int, costs: MachineCosts
) -> Estimate:
    """The convolution as multiply-adds, two operations each.

    Each input under a window is read once for all columns of its group.
    """
    gathered, results = positions * groups * rows, positions * groups * cols
    macs = gathered * cols
    return Estimate(
        2 * macs / costs.vector_ops_per_ns,
        macs * costs.vector_mac_pj + (gathered + results) * costs.access_pj,
    )


def prefers_arrays(
    groups: int,
    rows: int,
    cols: int,
    positions: int,
    costs: MachineCosts,
    min_array_use: float,
) -> bool:
    """Whether a grouped convolution belongs on arrays: they are filled enough, and they win."""
    if array_use(groups, rows, cols, costs) < min_array_use:
        return False
    arrays = on_arrays(groups, rows, cols, positions, costs)
    return arrays.product <= on_vector_engine(groups, rows, cols, positions, costs).product
