"""The ``tile`` dialect: what the machines can do, still without a place.

    type ::= `!tile.crossbar` `<` groups `x` rows `x` cols `>`
    op   ::= `tile.program` weight fields `:` crossbar     writes a matrix into arrays
           | `tile.mvm` crossbar `,` x (`window` fields)? `:` types
                                                         rows of x times the matrix
           | tensor-op                                     see tensor_ops.py
           | control-op                                    if loop: see control.py

A crossbar is a matrix (a stack of ``groups`` matrices of ``rows`` x ``cols``) kept in arrays. Its
tiles are the rows ``(group, row, rows, col, cols)`` of one packed table, cut to the array's size;
``scale`` holds the weight per code by group and column, ``input_scale`` the input's full scale
(absent: found for each vector while running), ``adc_range`` the converter's full scale by tile,
``lossless`` 1 for each tile whose conversions are proven to lose nothing, ``adc_bits`` the
resolution of the conversions (absent: the target's), ``bias`` what is added to each output column
by group, and ``gain`` the designed gain of the columns by slice, which the digital side divides by.
A matrix in several copies has the tiles of all of them, and ``copy`` is the copy of each tile.

    %m = tile.program <"fc.weight"> : !tile.crossbar<1x64x10>
    %y = tile.mvm %m, %x : (!tile.crossbar<1x64x10>, tensor<1x64xf32>) -> tensor<1x10xf32>
"""

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.dialects.builtin import (
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    FloatAttr,
    IntAttr,
    IntegerAttr,
    TensorType,
    i64,
)
from xdsl.ir import Attribute, Dialect, ParametrizedAttribute, TypeAttribute
from xdsl.irdl import (
    IRDLOperation,
    base,
    irdl_attr_definition,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    param_def,
    prop_def,
    result_def,
    traits_def,
)
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.traits import Pure
from xdsl.utils.exceptions import VerifyException

from .attributes import WeightAttr, table_of
from .control import control_ops
from .graph import TENSOR_OPS as GRAPH_OPS
from .shapes import im2col_shape
from .tensor_ops import TensorOp, tensor_op, window_attrs, yield_op
from .tile_table import TILE_COLUMNS, inside, overlap, weights_in, with_copies
from .types import shape_of


@irdl_attr_definition
class CrossbarType(ParametrizedAttribute, TypeAttribute):
    """A handle to ``groups`` matrices of ``rows`` x ``cols`` weights kept in arrays."""

    name = "tile.crossbar"
    groups: IntAttr = param_def()
    rows: IntAttr = param_def()
    cols: IntAttr = param_def()

    @staticmethod
    def of(groups: int, rows: int, cols: int) -> "CrossbarType":
        return CrossbarType(IntAttr(groups), IntAttr(rows), IntAttr(cols))

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.groups.data, self.rows.data, self.cols.data

    def verify(self) -> None:
        if min(self.shape) < 1:
            raise VerifyException(f"a crossbar needs positive sizes, got {self.shape}")

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[IntAttr]:
        with parser.in_angle_brackets():
            sizes = [parser.parse_integer()]
            for _ in range(2):
                parser.parse_shape_delimiter()
                sizes.append(parser.parse_integer())
        return [IntAttr(n) for n in sizes]

    def print_parameters(self, printer: Printer) -> None:
        printer.print_string("<" + "x".join(map(str, self.shape)) + ">")


class StoredMatrixOp(IRDLOperation):
    """A matrix of the weight store for arrays: ``program`` of every level, which adds its place.

    ``weight`` [groups, rows, cols] is always three-dimensional in the store.
    """

    weight = prop_def(WeightAttr)
    codes = opt_prop_def(WeightAttr)
    scale = opt_prop_def(WeightAttr)
    input_scale = opt_prop_def(FloatAttr)
    adc_range = opt_prop_def(DenseIntOrFPElementsAttr)
    lossless = opt_prop_def(DenseIntOrFPElementsAttr)
    adc_bits = opt_prop_def(IntegerAttr.constr(i64))
    bias = opt_prop_def(WeightAttr)
    gain = opt_prop_def(WeightAttr)
    copy = opt_prop_def(DenseIntOrFPElementsAttr)
    result = result_def(CrossbarType)

    @property
    def copy_of_tile(self) -> np.ndarray | None:
        """The copy that each tile belongs to, int32 [tiles]; None where there is only one."""
        return None if self.copy is None else table_of(self.copy)

    @property
    def copies(self) -> int:
        """How often the matrix lies in the arrays."""
        return 1 if self.copy is None else int(table_of(self.copy).max(initial=0)) + 1


#: How a stored matrix begins in the text of every level.
MATRIX_FORMAT = (
    "$weight (`codes` $codes^)? (`scale` $scale^)? (`input_scale` $input_scale^)? "
    "(`adc_range` $adc_range^)? (`lossless` $lossless^)? (`adc_bits` $adc_bits^)? "
    "(`bias` $bias^)? (`gain` $gain^)? (`copy` $copy^)? "
)


@irdl_op_definition
class ProgramOp(StoredMatrixOp):
    """Writes the stored matrix ``weight`` into arrays; an effect, not pure."""

    name = "tile.program"
    tiles = opt_prop_def(DenseIntOrFPElementsAttr)
    assembly_format = MATRIX_FORMAT + "(`tiles` $tiles^)? attr-dict `:` type($result)"

    def __init__(self, weight: WeightAttr, type_: Attribute) -> None:
        super().__init__(properties={"weight": weight}, result_types=[type_])

    @property
    def tile_table(self) -> np.ndarray:
        """int32 [tiles, 5], columns ``TILE_COLUMNS``. Raises VerifyException when uncut."""
        if self.tiles is None:
            raise VerifyException("tile.program is not cut into tiles yet: run cut-tiles")
        return table_of(self.tiles)

    def verify_(self) -> None:
        assert isinstance(self.result.type, CrossbarType)
        if self.tiles is not None:
            verify_tiles(self.tile_table, self.result.type.shape, self.copy_of_tile)
            for name in ("adc_range", "lossless"):
                table = getattr(self, name)
                if table is not None and len(self.tile_table) != len(table):
                    raise VerifyException(f"tile.program: {name} needs one value a tile")


def verify_tiles(
    tiles: np.ndarray, shape: tuple[int, int, int], copy: np.ndarray | None = None
) -> None:
    """Tiles must lie inside the matrix; those of each copy cover every weight exactly once."""
    if copy is not None and (copy.shape != tiles.shape[:1] or copy.min(initial=0) < 0):
        raise VerifyException(f"copy needs a number >= 0 for each of {len(tiles)} tiles")
    if tiles.ndim != 2 or tiles.shape[1] != len(TILE_COLUMNS):
        raise VerifyException(f"tiles need columns {TILE_COLUMNS}, got shape {tiles.shape}")
    fits = inside(tiles, shape)
    if not fits.all():
        bad = int(np.flatnonzero(~fits)[0])
        raise VerifyException(f"tile {bad} {tiles[bad].tolist()} leaves the matrix {shape}")
    apart, whole = with_copies(tiles, shape, copy)
    if weights_in(tiles) != prod(whole) or overlap(apart, whole):
        each = "" if copy is None else " in each copy"
        raise VerifyException(f"tiles must cover the matrix {shape} exactly once{each}")


@irdl_op_definition
class MvmOp(IRDLOperation):
    """``y = x @ matrix``: x [P, rows] (or [groups, P, rows]) to [P, cols] ([groups, P, cols]).

    With ``window``, the fields of an im2col window, x is what that window moves over: the row
    drivers gather the rows themselves.
    """

    name = "tile.mvm"
    crossbar = operand_def(CrossbarType)
    x = operand_def(base(TensorType))
    window = opt_prop_def(DictionaryAttr)
    result = result_def(base(TensorType))
    traits = traits_def(Pure())
    assembly_format = (
        "$crossbar `,` $x (`window` $window^)? attr-dict `:` "
        "`(` type($crossbar) `,` type($x) `)` `->` type($result)"
    )

    @property
    def positions(self) -> int:
        """Rows that are driven through the matrix."""
        return shape_of(self.result)[-2]

    def verify_(self) -> None:
        assert isinstance(self.crossbar.type, CrossbarType)
        x = driven_shape(self.name, shape_of(self.x), self.window)
        verify_mvm(self.name, self.crossbar.type, x, shape_of(self.result))


def driven_shape(name: str, x: tuple[int, ...], window: DictionaryAttr | None) -> tuple[int, ...]:
    """Shape of the rows that ``x`` is, or that ``window`` makes of it."""
    if window is None:
        return x
    try:
        return im2col_shape(window_attrs(window), x)
    except ValueError as error:
        raise VerifyException(f"{name}: {error}") from error


def verify_mvm(name: str, crossbar: CrossbarType, x: tuple[int, ...], y: tuple[int, ...]) -> None:
    """The shape rule of a matrix-vector product, said once for every level."""
    groups, rows, cols = crossbar.shape
    lead = x[:-1]
    if x[-1:] != (rows,) or len(x) != (2 if groups == 1 else 3) or (groups > 1 and x[0] != groups):
        wants = f"[P, {rows}]" if groups == 1 else f"[{groups}, P, {rows}]"
        raise VerifyException(f"{name}: x must be {wants}, got {list(x)}")
    if y != (*lead, cols):
        raise VerifyException(f"{name} yields {(*lead, cols)}, declared {y}")


YieldOp = yield_op("tile")
#: The digital ops by kind; ``tile.contract``, ``tile.map`` and the rest are these classes.
OPS: dict[str, type[TensorOp]] = {op.KIND: tensor_op("tile", op.KIND, YieldOp) for op in GRAPH_OPS}
MapOp, ReduceOp, ViewOp, WindowOp = OPS["map"], OPS["reduce"], OPS["view"], OPS["window"]
ContractOp, HostOp = OPS["contract"], OPS["host"]
IfOp, LoopOp = control_ops("tile", YieldOp)

Tile = Dialect("tile", [ProgramOp, MvmOp, IfOp, LoopOp, YieldOp, *OPS.values()], [CrossbarType])
