"""What a kernel costs on a device of a mesh: operations, bytes moved, bytes of memory traffic.

Values are counted in the device's own format: 2 bytes on a bf16 device, 16.25 bits (pal16, its
wide companion) on one that multiplies in a narrower PAL format; stationary operands in the
device's weight format. Integers keep their size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ...dialects import elements
from ...dialects.kernel import Kernel
from ...dialects.work import host_macs
from ...dialects.work import kernel_work as count_work
from ..targets.mesh import Device
from ..targets.mesh_cost import Work
from .float_formats import FLOAT_FORMATS
from .formats import FORMATS

#: The format in which a device that multiplies in PAL keeps its other values.
WIDE_FORMAT = "pal16"
#: Simple operations that a result of a host operator is charged with (assumption: what they do is
#: not known, most are data-dependent movement or sorting).
HOST_OPERATIONS = 10
#: Kernels whose multiply-accumulates a matrix engine does.
_PRODUCTS = ("contract", "window", "host")
#: Kernels that only rearrange.
_MOVES = ("view", "pad", "concat", "gather", "scatter", "update")
_IM2COL = ("window", "im2col")


@dataclass(frozen=True, slots=True)
class Operand:
    """The type of a tensor, and the format it is stored in where that is not the device's."""

    shape: tuple[int, ...]
    dtype: np.dtype
    format: str | None = None

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def rank(self) -> int:
        return len(self.shape)


def is_float(dtype: np.dtype) -> bool:
    """Whether values of ``dtype`` are rounded to number formats: floats of 16 bits and more."""
    return elements.is_float(dtype) and not elements.is_narrow(dtype)


def is_pal(format: str) -> bool:
    """Whether ``format`` is an OpenPAL format."""
    return format in FORMATS


def bits_of(format: str) -> float:
    """Stored bits per value of a PAL or float format, block scales included."""
    if format in FORMATS:
        return FORMATS[format].bits_per_value
    return FLOAT_FORMATS[format].bits_per_value


def value_format(device: Device) -> str:
    """The format of the values a device keeps: its own, or the wide companion of a PAL format."""
    return WIDE_FORMAT if is_pal(device.format) else device.format


def weight_format(device: Device) -> str:
    """The format of a device's stationary operands."""
    return device.weight_format or device.format


def bits_on_link(a: Device, b: Device) -> float:
    """Bits per floating-point value between two devices: those of the narrower format.

    No rounding is added by that: the sender has rounded to its own format already, and the
    receiver rounds what it reads to its own.
    """
    return min(bits_of(value_format(a)), bits_of(value_format(b)))


def stored_bytes(operand: Operand, device: Device) -> float:
    """Bytes that a tensor takes on the way from or to the memory of ``device``."""
    if not is_float(operand.dtype):
        return operand.size * operand.dtype.itemsize
    bits = bits_of(operand.format or value_format(device))
    # A tensor of a narrow type stays narrow on a wide device.
    return operand.size * min(bits / 8, operand.dtype.itemsize)


def add_work(*parts: Work) -> Work:
    """The sum of works."""
    return Work(
        sum(p.matmul_flops for p in parts),
        sum(p.elementwise for p in parts),
        sum(p.special for p in parts),
        sum(p.moved_bytes for p in parts),
        sum(p.memory_bytes for p in parts),
    )


def traffic(ins: Sequence[Operand], outs: Sequence[Operand], device: Device) -> Work:
    """The memory traffic of a task that reads ``ins`` and writes ``outs`` once."""
    return Work(memory_bytes=sum(stored_bytes(x, device) for x in (*ins, *outs)))


def product_work(a: Operand, b: Operand, out: Operand) -> Work:
    """A matrix product [.., M, K] x [.., K, N], two operations a multiply-add."""
    return Work(matmul_flops=2.0 * out.size * a.shape[-1])


def recode_work(x: Operand) -> Work:
    """Encoding or decoding a tensor: one simple operation an element."""
    return Work(elementwise=x.size)


def kernel_work(
    kernel: Kernel, ins: Sequence[Operand], outs: Sequence[Operand], device: Device
) -> Work:
    """Operations and bytes rearranged by ``kernel``, without its memory traffic."""
    shapes = [x.shape for x in ins], [x.shape for x in outs]
    counts = count_work(kernel, *shapes)
    macs = counts.macs
    simple = counts.adds + counts.muls
    if kernel.kind == "host":
        macs += host_macs(kernel.attrs["model"])
        simple *= HOST_OPERATIONS
    moves = kernel.kind in _MOVES or (kernel.kind, kernel.attrs.get("kind")) == _IM2COL
    _, written = touched_operands(kernel.kind, ins, outs)
    product = kernel.kind in _PRODUCTS
    return Work(
        matmul_flops=2.0 * macs if product else 0.0,
        elementwise=simple + (0.0 if product else 2.0 * macs),
        special=counts.specials,
        moved_bytes=sum(stored_bytes(x, device) for x in written) if moves else 0.0,
    )


def touched_operands(
    kind: str, ins: Sequence[Operand], outs: Sequence[Operand]
) -> tuple[list[Operand], list[Operand]]:
    """What a kernel really reads and writes.

    A view or gather touches no more than it yields, an update no more than the row.
    """
    if kind in ("view", "gather") and ins and ins[0].size > outs[0].size:
        return [Operand(outs[0].shape, ins[0].dtype), *ins[1:]], list(outs)
    if kind == "update":
        return list(ins[1:]), [ins[2]]
    return list(ins), list(outs)


def packed_bytes(shape: Sequence[int], format: str) -> int:
    """Bytes of a matrix [.., K, N] as stored in ``format``: PAL blocks run along K."""
    if format in FORMATS:
        spec = FORMATS[format]
        blocks = prod(shape[:-2]) * shape[-1] * -(-shape[-2] // spec.block)
        return blocks * (spec.block_bytes + 1)
    return prod(shape) * int(bits_of(format)) // 8
