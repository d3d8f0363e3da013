"""The ``analog`` dialect: what the chip's controllers issue.

    op ::= `analog.program` `matrix` n weight fields `sites` table `:` crossbar
         | `analog.controller` name region               one instruction stream
         | `analog.sync` `[` events `]`                  wait until all have happened
         | `analog.reload` crossbar range                streamed tiles into their arrays
         | `analog.drive` crossbar `,` buffer range      input codes onto the rows of the tiles
         | `analog.integrate` crossbar range             charge onto the columns
         | `analog.convert` crossbar range               columns into codes
         | `analog.accumulate` crossbar `,` buffer range partial sums into the result, scaled
         | `analog.move` buffer `->` buffer              through the links
         | `analog.vector` / `analog.host` `(` buffers `)` `->` `(` buffers `)` region
         | `analog.if` buffer `event` n region region      controllers of one of two regions
         | `analog.loop` `index` buffer ... `event` n region
    range ::= `tiles` `[` first `,` end `]`

Machine and buffers are those of ``place``. A range stands for a loop of the controller over rows
of the matrix's tile table, all of them in that controller's layer. Every instruction but ``sync``
raises ``event`` when it is done; streams run side by side and only events order them. Control flow
is issued by the controller ``control`` while all others wait: its regions hold controllers again,
whose events are raised anew each time the region runs.
"""

import numpy as np
from xdsl.dialects.builtin import (
    DenseArrayBase,
    DenseIntOrFPElementsAttr,
    DictionaryAttr,
    IntegerAttr,
    StringAttr,
    UnitAttr,
    i64,
)
from xdsl.ir import Dialect, Operation
from xdsl.irdl import (
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    traits_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import HasParent, NoTerminator
from xdsl.utils.exceptions import VerifyException

from .attributes import table_of
from .place import (
    IF_FORMAT,
    LOOP_FORMAT,
    BufferCopy,
    BufferType,
    ControlSlot,
    IfSlot,
    LoopSlot,
    RegionSlot,
    verify_rounds,
    verify_sites,
)
from .tile import (
    MATRIX_FORMAT,
    CrossbarType,
    StoredMatrixOp,
    driven_shape,
    verify_mvm,
    verify_tiles,
)
from .tile_table import is_tile_order
from .types import shape_of
from .units import layer_unit, place_of_unit


@irdl_op_definition
class ProgramOp(StoredMatrixOp):
    """Writes weight codes into the arrays of ``sites`` before the program starts.

    Tiles that stay come first, then the streamed ones, which only ``analog.reload`` writes; both
    are sorted by layer, so that each layer's are one range, and the streamed ones of a layer by
    round.
    """

    name = "analog.program"
    matrix = prop_def(IntegerAttr.constr(i64))
    tiles = prop_def(DenseIntOrFPElementsAttr)
    sites = prop_def(DenseIntOrFPElementsAttr)
    routes = prop_def(DenseIntOrFPElementsAttr)
    rounds = opt_prop_def(DenseIntOrFPElementsAttr)
    assembly_format = (
        "`matrix` $matrix " + MATRIX_FORMAT + "`tiles` $tiles `sites` $sites `routes` $routes "
        "(`rounds` $rounds^)? attr-dict `:` type($result)"
    )

    def verify_(self) -> None:
        assert isinstance(self.result.type, CrossbarType)
        tiles, sites = table_of(self.tiles), table_of(self.sites)
        verify_tiles(tiles, self.result.type.shape, self.copy_of_tile)
        verify_sites(self, sites, tiles)
        rounds = np.zeros(len(tiles), np.int32)
        if self.rounds is not None:
            rounds = table_of(self.rounds)
            verify_rounds(self, rounds, tiles)
        if not is_tile_order(sites, rounds):
            raise VerifyException("analog.program: tiles must be sorted by layer and round")


@irdl_op_definition
class ControllerOp(IRDLOperation):
    """The instructions of one controller, in order.

    It is ``layerN``, ``layerN.M`` (a further sequencer), ``vector``, ``dma``, ``host`` or
    ``control``.
    """

    name = "analog.controller"
    unit = prop_def(StringAttr)
    body = region_def("single_block")
    traits = traits_def(NoTerminator())
    assembly_format = "$unit $body attr-dict"

    def verify_(self) -> None:
        for op in self.body.block.ops:
            if not isinstance(op, INSTRUCTIONS):
                raise VerifyException(f"analog.controller holds instructions only, not {op.name}")


@irdl_op_definition
class SyncOp(IRDLOperation):
    """Waits for events of other streams."""

    name = "analog.sync"
    events = prop_def(DenseArrayBase.constr(i64))
    traits = traits_def(HasParent(ControllerOp))
    assembly_format = "$events attr-dict"

    def verify_(self) -> None:
        events = list(self.events.get_values())
        if not events or min(events) < 0 or sorted(set(events)) != events:
            raise VerifyException("analog.sync needs increasing, non-negative events")


def _verify_range(op: Operation, tiles: DenseArrayBase, crossbar: Operation) -> None:
    """A tile range must lie in the matrix's table and in one layer of it."""
    first, end = (int(n) for n in tiles.iter_values())  # type: ignore[misc]
    if not isinstance(crossbar, ProgramOp):
        raise VerifyException(f"{op.name}: the crossbar must come from analog.program")
    layers = table_of(crossbar.sites)[:, 0]
    if not 0 <= first < end <= len(layers):
        raise VerifyException(f"{op.name}: tiles [{first}, {end}] leave 0..{len(layers)}")
    if (layers[first:end] != layers[first]).any():
        raise VerifyException(f"{op.name}: tiles [{first}, {end}] lie in more than one layer")
    parent = op.parent_op()
    if isinstance(parent, ControllerOp):
        layer = int(layers[first])
        unit = parent.unit.data
        if (place_of_unit(unit) or (-1,))[0] != layer:
            wants = layer_unit(layer)
            raise VerifyException(f"{op.name}: these tiles belong to {wants}, not {unit}")


class ArrayOp(IRDLOperation):
    """An instruction to the arrays of a tile range."""

    crossbar = operand_def(CrossbarType)
    tiles = prop_def(DenseArrayBase.constr(i64))
    event = prop_def(IntegerAttr.constr(i64))
    traits = traits_def(HasParent(ControllerOp))

    def verify_(self) -> None:
        _verify_range(self, self.tiles, self.crossbar.owner)  # type: ignore[arg-type]


_RANGE_FORMAT = "$crossbar `tiles` $tiles `event` $event attr-dict `:` type($crossbar)"


@irdl_op_definition
class ReloadOp(ArrayOp):
    """Writes streamed tiles over what their arrays held, from codes in the host's memory.

    Those of the first round at once; each other round when the product has converted the last.
    """

    name = "analog.reload"
    crossbar = operand_def(CrossbarType)
    node = opt_prop_def(StringAttr)
    assembly_format = (
        "$crossbar `tiles` $tiles `event` $event (`node` $node^)? attr-dict `:` type($crossbar)"
    )

    def verify_(self) -> None:
        super().verify_()
        assert isinstance(self.crossbar.owner, ProgramOp)
        rounds = self.crossbar.owner.rounds
        first, end = self.tiles.get_values()
        if rounds is None or not table_of(rounds)[first:end].all():
            raise VerifyException("analog.reload: only streamed tiles are written while running")


@irdl_op_definition
class DriveOp(ArrayOp):
    """Quantises rows of ``x`` and puts them on the row lines of the tiles, position by position.

    ``window`` as for ``tile.mvm``.
    """

    name = "analog.drive"
    crossbar = operand_def(CrossbarType)  # again: operands come in the order of the subclass first
    x = operand_def(BufferType)
    window = opt_prop_def(DictionaryAttr)
    assembly_format = (
        "$crossbar `,` $x (`window` $window^)? `tiles` $tiles `event` $event attr-dict `:` "
        "type($crossbar) `,` type($x)"
    )

    def verify_(self) -> None:
        super().verify_()
        assert isinstance(self.x.type, BufferType)
        assert isinstance(self.crossbar.type, CrossbarType)
        x = driven_shape(self.name, shape_of(self.x.type.tensor), self.window)
        verify_mvm(self.name, self.crossbar.type, x, (*x[:-1], self.crossbar.type.shape[2]))


@irdl_op_definition
class IntegrateOp(ArrayOp):
    """Lets the charge of the driven rows settle on the columns."""

    name = "analog.integrate"
    assembly_format = _RANGE_FORMAT


@irdl_op_definition
class ConvertOp(ArrayOp):
    """Converts the columns' charge into codes."""

    name = "analog.convert"
    assembly_format = _RANGE_FORMAT


@irdl_op_definition
class AccumulateOp(ArrayOp):
    """Shifts and adds slices and row blocks, scales them, and adds them into ``y``.

    With ``init`` the instruction overwrites ``y``: the first layer of a product does, the others
    wait for it.
    """

    name = "analog.accumulate"
    crossbar = operand_def(CrossbarType)
    y = operand_def(BufferType)
    init = opt_prop_def(UnitAttr)
    node = opt_prop_def(StringAttr)
    assembly_format = (
        "$crossbar `,` $y `tiles` $tiles `event` $event (`init` $init^)? (`node` $node^)? "
        "attr-dict `:` type($crossbar) `,` type($y)"
    )


@irdl_op_definition
class MoveOp(BufferCopy):
    """Copies a tensor between memories."""

    name = "analog.move"
    event = prop_def(IntegerAttr.constr(i64))
    traits = traits_def(HasParent(ControllerOp))
    assembly_format = (
        "$source `->` $target `event` $event (`node` $node^)? attr-dict `:` "
        "type($source) `->` type($target)"
    )


class RegionInstruction(RegionSlot):
    """A vector or host instruction: its region says what it computes."""

    event = prop_def(IntegerAttr.constr(i64))
    node = opt_prop_def(StringAttr)
    traits = traits_def(HasParent(ControllerOp))

    def print(self, printer: Printer) -> None:
        printer.print_string(f" event {self.event.value.data}")
        self.print_slot(printer, ("event",))

    @classmethod
    def parse(cls, parser: Parser) -> "RegionInstruction":
        parser.parse_keyword("event")
        event = IntegerAttr(parser.parse_integer(), 64)
        operands, properties, attributes, region = cls.parse_slot(parser)
        return cls.create(
            operands=operands,
            properties={"event": event, **properties},
            attributes=attributes,
            regions=[region],
        )


@irdl_op_definition
class VectorOp(RegionInstruction):
    """One kernel on the vector engine."""

    name = "analog.vector"


@irdl_op_definition
class HostOp(RegionInstruction):
    """One ONNX node on the host processor."""

    name = "analog.host"


class _HoldsControllers(ControlSlot):
    def verify_(self) -> None:
        super().verify_()
        for block in self.blocks:
            for op in block.ops:
                if not isinstance(op, ControllerOp):
                    raise VerifyException(f"{self.name} holds controllers only, not {op.name}")


@irdl_op_definition
class IfOp(_HoldsControllers, IfSlot):
    """Runs the controllers of one of two regions."""

    name = "analog.if"
    event = prop_def(IntegerAttr.constr(i64))
    traits = traits_def(HasParent(ControllerOp), NoTerminator())
    assembly_format = (
        IF_FORMAT + "`event` $event (`node` $node^)? `:` type($condition) $then_body $else_body "
        "attr-dict"
    )


@irdl_op_definition
class LoopOp(_HoldsControllers, LoopSlot):
    """Runs the controllers of its region again and again."""

    name = "analog.loop"
    event = prop_def(IntegerAttr.constr(i64))
    traits = traits_def(HasParent(ControllerOp), NoTerminator())
    assembly_format = LOOP_FORMAT + "`event` $event (`node` $node^)? $body attr-dict"


INSTRUCTIONS = (
    SyncOp,
    ReloadOp,
    DriveOp,
    IntegrateOp,
    ConvertOp,
    AccumulateOp,
    MoveOp,
    VectorOp,
    HostOp,
    IfOp,
    LoopOp,
)

Analog = Dialect("analog", [ProgramOp, ControllerOp, *INSTRUCTIONS])
