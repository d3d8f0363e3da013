"""The work of ``tile`` and ``pal`` operations on a device, counted in the device's formats."""

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Operation, SSAValue

from ...dialects import pal, tile
from ...dialects.tensor_ops import TensorOp
from ...dialects.types import dtype_of, shape_of
from ..targets.mesh import Device
from ..targets.mesh_cost import Work
from .work import (
    Operand,
    add_work,
    is_float,
    is_pal,
    kernel_work,
    product_work,
    recode_work,
    touched_operands,
    traffic,
    weight_format,
)


def op_work(op: Operation, device: Device) -> Work:
    """The work of a ``tile`` op as a task of its own; tile.program and views cost nothing here."""
    outs = [operand_of(x) for x in op.results]
    if isinstance(op, tile.MvmOp):
        assert isinstance(op.crossbar.type, tile.CrossbarType)
        x = operand_of(op.x)
        weight = Operand(op.crossbar.type.shape, x.dtype, weight_format(device))
        return _product(x, weight, outs[0], device, recoded=[x])
    assert isinstance(op, TensorOp)
    ins = [operand_of(x) for x in op.operands]
    if is_product(op) and is_pal(device.format):
        return _product(ins[0], ins[1], outs[0], device, recoded=ins)
    return add_work(_digital(op, ins, outs, device), _traffic(op, ins, outs, device))


def task_work(task: pal.TaskOp, device: Device) -> Work:
    """The work of everything in a task's region, and one pass over its buffers."""
    ops = [op for op in task.body.block.ops if op.results]
    parts = [_region_op_work(op, device) for op in ops]
    ins = [operand_of(x) for x in task.body.block.args]
    outs = [_stored_operand(x) for x in task.outs]
    for i, buffer in enumerate(task.ins):
        if isinstance(buffer.owner, pal.WeightOp):
            ins[i] = Operand(ins[i].shape, ins[i].dtype, buffer.owner.format.data)
    if len(ops) == 1 and isinstance(ops[0], TensorOp):
        return add_work(*parts, _traffic(ops[0], ins, outs, device))
    return add_work(*parts, traffic(ins, outs, device))


def is_product(op: Operation) -> bool:
    """Whether a ``tile`` op is a product of two tensors that a PAL device computes in PAL."""
    return isinstance(op, tile.ContractOp) and is_float(dtype_of(op.results[0]))


def operand_of(value: SSAValue) -> Operand:
    """Shape and dtype of a tensor; packed tensors count as float32 in their format."""
    assert isinstance(value.type, TensorType)
    element = value.type.element_type
    if isinstance(element, pal.NumType):
        return Operand(value.type.get_shape(), np.dtype(np.float32), element.format.data)
    return Operand(shape_of(value), dtype_of(value))


def _stored_operand(buffer: SSAValue) -> Operand:
    tensor = buffer.type.tensor  # type: ignore[attr-defined]
    return Operand(shape_of(tensor), dtype_of(tensor))


def _product(
    a: Operand, b: Operand, out: Operand, device: Device, recoded: Sequence[Operand]
) -> Work:
    """A product as convert-place-to-pal writes it: operands encoded, the result recoded."""
    parts = [product_work(a, b, out), traffic([a, b], [out], device)]
    if is_pal(device.format):
        parts += [recode_work(x) for x in (*recoded, out, out)]
    return add_work(*parts)


def _region_op_work(op: Operation, device: Device) -> Work:
    ins = [operand_of(x) for x in op.operands]
    outs = [operand_of(x) for x in op.results]
    match op:
        case pal.EncodeOp() | pal.DecodeOp():
            return recode_work(outs[0])
        case pal.MatmulOp():
            return product_work(ins[0], ins[1], outs[0])
    return _digital(op, ins, outs, device)


def _digital(
    op: Operation, ins: Sequence[Operand], outs: Sequence[Operand], device: Device
) -> Work:
    assert isinstance(op, TensorOp)
    return kernel_work(op.kernel, ins, outs, device)


def _traffic(op: TensorOp, ins: Sequence[Operand], outs: Sequence[Operand], device: Device) -> Work:
    return traffic(*touched_operands(op.KIND, ins, outs), device)
