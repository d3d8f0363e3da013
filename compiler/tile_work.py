"""How much work an operation of the ``tile`` level is."""

from xdsl.ir import Operation

from ..dialects import tile
from ..dialects.control import repetitions
from ..dialects.tensor_ops import TensorOp
from ..dialects.types import shape_of
from ..dialects.work import Work, host_macs, kernel_work, mvm_work


def repeated_work(op: Operation) -> Work:
    """Work of a ``tile`` op in one inference: a loop's as often as it may run."""
    return op_work(op).times(repetitions(op))


def op_work(op: Operation) -> Work:
    """Work of a ``tile`` op, each time it runs."""
    ins = [shape_of(x) for x in op.operands if not isinstance(x.type, tile.CrossbarType)]
    outs = [shape_of(x) for x in op.results]
    if isinstance(op, tile.MvmOp):
        assert isinstance(op.crossbar.type, tile.CrossbarType)
        return mvm_work(*op.crossbar.type.shape, positions=op.positions)
    assert isinstance(op, TensorOp)
    work = kernel_work(op.kernel, ins, outs)
    if op.KIND == "host":
        work += Work(macs=host_macs(op.attrs["model"]))
    return work
