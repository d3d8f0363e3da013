"""Matrix products as a device of a mesh computes them: regions of ``pal.task``.

PAL device    pal.encode x, pal.matmul, then pal.encode and pal.decode in the wide companion
other device  tile.contract, behind pal.decode where the stationary operand is stored in PAL
"""

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Block, Operation, SSAValue

from ..backends.pal.task_work import is_product, operand_of
from ..backends.pal.work import WIDE_FORMAT, is_pal
from ..backends.targets import Device
from ..dialects import pal, place, tile
from ..dialects.types import shape_of


def product_region(op: place.MvmOp, weight: SSAValue, device: Device) -> Block:
    """x [.., P, K] times a stationary operand, as the device computes it."""
    assert isinstance(op.x.type, place.BufferType)
    assert isinstance(op.y.type, place.BufferType)
    assert isinstance(weight.type, place.BufferType)
    block = Block(arg_types=[op.x.type.tensor, weight.type.tensor])
    x, w = block.args
    if is_pal(device.format):
        result = _matmul(block, None, x, w, op.y.type.tensor, device)
    else:
        if pal.is_packed(w.type):
            decode = pal.DecodeOp(w, op.x.type.tensor.element_type)
            block.add_op(decode)
            w = decode.output  # type: ignore[assignment]
        contract = tile.ContractOp.make([x, w])
        block.add_op(contract)
        result = contract.results[0]
    block.add_op(place.YieldOp.create(operands=[result]))
    return block


def multiply_in_pal(block: Block, device: Device) -> None:
    """Rewrite the products of a stage's region."""
    for op in list(block.ops):
        if is_product(op):
            a, b = op.operands
            result_type = op.results[0].type
            assert isinstance(result_type, TensorType)
            result = _matmul(block, op, a, b, result_type, device)
            op.results[0].replace_all_uses_with(result)
            block.erase_op(op)


def _matmul(
    block: Block,
    before: Operation | None,
    a: SSAValue,
    b: SSAValue,
    result: TensorType,
    device: Device,
) -> SSAValue:
    """Operands in blocks along the contracted axis, result rounded to the wide companion."""

    def add(op: Operation) -> SSAValue:
        if before is None:
            block.add_op(op)
        else:
            block.insert_op_before(op, before)
        return op.results[0]

    if not pal.is_packed(a.type):
        a = add(pal.EncodeOp(a, device.format, operand_of(a).rank - 1, search=0))
    if not pal.is_packed(b.type):
        b = add(pal.EncodeOp(b, device.format, operand_of(b).rank - 2, search=0))
    product = add(pal.MatmulOp(a, b))
    wide = add(pal.EncodeOp(product, WIDE_FORMAT, len(shape_of(result)) - 1, search=0))
    return add(pal.DecodeOp(wide, result.element_type))
