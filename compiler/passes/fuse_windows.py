"""Let row drivers gather the rows of a product from the feature map itself

The im2col matrix of a convolution is as large as the feature map times its kernel, and is written
and read once. With channels last a row of it is a few runs of bytes, which the row drivers read
from the map where it lies, as line buffers do in other machines.
"""

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from ...dialects import tile
from ...dialects.tensor_ops import TensorOp, window_dictionary
from ..context import say_unchanged
from ..rewriting import whole_ops


@dataclass(frozen=True)
class FuseWindows(ModulePass):
    """Fuses each im2col window with channels last into the products that alone read it."""

    name = "fuse-windows"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        found = [inner for inner in whole_ops(op) if gathers_rows(inner)]
        for window in found:
            assert isinstance(window, TensorOp)
            _fuse(window)
        if not found:
            say_unchanged(ctx)


def gathers_rows(op: object) -> bool:
    """Whether ``op`` is a window that this pass fuses."""
    if not isinstance(op, tile.WindowOp):
        return False
    rows = op.results[0]
    users = [use.operation for use in rows.uses]
    products = all(isinstance(user, tile.MvmOp) and user.window is None for user in users)
    attrs = op.attrs
    return bool(attrs["kind"] == "im2col" and attrs["channels_last"] and users and products)


def _fuse(op: TensorOp) -> None:
    window = window_dictionary(op.attrs)
    for use in list(op.results[0].uses):
        product = use.operation
        assert isinstance(product, tile.MvmOp)
        product.operands = [product.crossbar, op.operands[0]]
        product.window = window
    assert op.parent is not None
    op.parent.erase_op(op)
