"""Keep feature maps with their channels last, the order in which products leave the arrays

A product of im2col rows gives [P, O], positions before channels. Followed by what works as well on
[N, ..., C] as on [N, C, ...] it need not be transposed, and a range of rows of a feature map is a
range of bytes. The order is changed for a whole module, if its digital operations take no longer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter

from ...dialects import tile
from ...dialects.attributes import CHANNELS_LAST
from ...dialects.body import body_of
from ...dialects.shapes import channels_first, channels_last, row_major
from ...dialects.tensor_ops import TensorOp
from ...dialects.types import dtype_of, shape_of, tensor_type
from ..context import say_unchanged
from ..cost import digital_time_s
from ..rewriting import function_blocks, name_result, whole_ops
from ..stored_matrices import machine_with_arrays
from .fold_views import FoldViews
from .fuse_windows import gathers_rows

if TYPE_CHECKING:
    from ...backends.targets import MemcapTarget


@dataclass(frozen=True)
class UseChannelsLast(ModulePass):
    """Changes windows, maps, reductions, concatenations and pads between products."""

    name = "use-channels-last"

    target: str

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        target = machine_with_arrays(self.target, self.name)
        if not any(_is_im2col(inner) for inner in whole_ops(op)):
            say_unchanged(ctx)
            return
        changed = op.clone()
        for block in function_blocks(changed):
            _Converter().convert(block)
        FoldViews().apply(ctx, changed)
        if _time_s(changed, target) > _time_s(op, target):
            say_unchanged(ctx)
            return
        body = changed.detach_region(changed.body)
        op.detach_region(op.body).drop_all_references()
        op.add_region(body)


def _time_s(module: ModuleOp, target: "MemcapTarget") -> float:
    """Time of the vector engine in one inference, without what row drivers will gather."""
    return digital_time_s([op for op in whole_ops(module) if not gathers_rows(op)], target)


def _is_im2col(op: Operation) -> bool:
    return isinstance(op, tile.WindowOp) and op.attrs["kind"] == "im2col"


class _Converter:
    """Makes a twin with channels last of each value that it can, and of its users in turn."""

    def __init__(self) -> None:
        self.twins: dict[SSAValue, SSAValue] = {}
        self._before: Operation

    def convert(self, block: Block) -> None:
        for op in list(block.ops):
            if not isinstance(op, TensorOp) or len(op.results) != 1:
                continue
            self._before = op
            match op.KIND:
                case "view":
                    self._view(op)
                case "window" if not op.attrs["channels_last"]:
                    self._window(op)
                case "map":
                    self._map(op)
                case "reduce":
                    self._reduce(op)
                case "concat" | "pad" | "resample":
                    self._along_axes(op)

    def _add(self, new: TensorOp) -> SSAValue:
        new.location = self._before.location
        Rewriter.insert_op(new, InsertPoint.before(self._before))
        return new.results[0]

    def _reshaped(self, x: SSAValue, shape: Sequence[int]) -> SSAValue:
        if shape_of(x) == tuple(shape):
            return x
        strides = row_major(tuple(shape))
        return self._add(tile.ViewOp.make([x], tuple(shape), offset=0, strides=strides))

    def _stands_for(self, op: TensorOp, twin: SSAValue) -> None:
        """Let a transposed ``twin`` stand for the result of ``op``."""
        shape = shape_of(op.results[0])
        strides = channels_first(row_major(channels_last(shape)))
        view = tile.ViewOp.make([twin], shape, offset=0, strides=strides)
        back = self._add(view)
        view.attributes.update(op.attributes)
        name = op.attributes.get("value")
        if isinstance(name, StringAttr):
            name_result(twin, StringAttr(name.data + CHANNELS_LAST))
        self.twins[back] = twin
        op.results[0].replace_all_uses_with(back)
        assert op.parent is not None
        op.parent.erase_op(op)

    def _view(self, op: TensorOp) -> None:
        """A view that moves the last axis of its operand to the front has the operand as twin."""
        x, shape = op.operands[0], shape_of(op.results[0])
        if len(shape) < 3 or prod(shape) != prod(shape_of(x)) or op.attrs["offset"]:
            return
        wanted = channels_first(row_major(channels_last(shape)))
        given = op.attrs["strides"]
        if all(n == 1 or a == b for n, a, b in zip(shape, given, wanted, strict=True)):
            self.twins[op.results[0]] = self._reshaped(x, channels_last(shape))

    def _window(self, op: TensorOp) -> None:
        attrs = op.attrs | {"channels_last": True}
        x = op.operands[0]
        twin = self.twins.get(x)
        if twin is None:
            if not _is_im2col(op):
                return
            shape = channels_last(shape_of(x))
            strides = channels_last(row_major(shape_of(x)))
            view = tile.ViewOp.make([x], shape, offset=0, strides=strides)
            twin = self.twins[x] = self._add(view)
        ins, shape = [twin, *op.operands[1:]], shape_of(op.results[0])
        if _is_im2col(op):
            new = tile.WindowOp.make(ins, shape, **attrs)
            new.attributes.update(op.attributes)
            op.results[0].replace_all_uses_with(self._add(new))
            assert op.parent is not None
            op.parent.erase_op(op)
            return
        self._stands_for(op, self._add(tile.WindowOp.make(ins, channels_last(shape), **attrs)))

    def _map(self, op: TensorOp) -> None:
        shape = shape_of(op.results[0])
        if len(shape) < 3 or not any(x in self.twins for x in op.operands):
            return
        found = [self._operand(x, shape) for x in op.operands]
        ins = [x for x in found if x is not None]
        if len(ins) < len(found):
            return
        type_ = tensor_type(channels_last(shape), dtype_of(op.results[0]))
        new = tile.MapOp.make(ins, body=body_of(op.regions[0]), result_types=[type_])
        self._stands_for(op, self._add(new))

    def _operand(self, x: SSAValue, shape: tuple[int, ...]) -> SSAValue | None:
        """What broadcasts to ``shape`` with channels last as ``x`` does with channels first."""
        if x in self.twins:
            return self.twins[x]
        own = (1,) * (len(shape) - len(shape_of(x))) + shape_of(x)
        if sum(n > 1 for n in (own[1], *own[2:])) <= 1 or prod(own[2:]) == 1:
            return self._reshaped(x, channels_last(own))
        return None

    def _reduce(self, op: TensorOp) -> None:
        twin, attrs = self.twins.get(op.operands[0]), op.attrs
        if twin is None or attrs["kind"].startswith("arg"):
            return
        rank = len(shape_of(twin))
        axes = tuple(sorted(_moved(axis, rank) for axis in attrs["axes"]))
        new = type(op).make([twin], **{**attrs, "axes": axes})
        if attrs["keepdims"]:
            self._stands_for(op, self._add(new))
        elif set(range(2, rank)) <= set(attrs["axes"]):  # what is left keeps its order
            new.attributes.update(op.attributes)
            op.results[0].replace_all_uses_with(self._add(new))
            assert op.parent is not None
            op.parent.erase_op(op)

    def _along_axes(self, op: TensorOp) -> None:
        """Operations that name axes of their first operand, or of all of them."""
        data = op.operands if op.KIND == "concat" else op.operands[:1]
        if not all(x in self.twins for x in data):
            return
        ins = [*(self.twins[x] for x in data), *op.operands[len(data) :]]
        attrs = op.attrs
        if op.KIND == "pad":
            attrs |= {name: channels_last(attrs[name]) for name in ("low", "high", "interior")}
        else:
            attrs["axis"] = _moved(attrs["axis"], len(shape_of(ins[0])))
        self._stands_for(op, self._add(type(op).make(ins, **attrs)))


def _moved(axis: int, rank: int) -> int:
    """Where an axis of [N, C, ...] is in [N, ..., C]."""
    if axis == 1:
        return rank - 1
    return axis - 1 if axis else 0
