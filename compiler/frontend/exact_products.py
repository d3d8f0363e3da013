"""Integer products on float32 multipliers, exactly.

Integers below 2^24 are exact in float32, and so are sums of them that stay below. A long sum of
integer products is cut along its inner dim into parts that stay below whatever the operand holds;
the parts are added as int32, which wraps as ONNX Runtime's accumulators do.
"""

from collections.abc import Callable

import numpy as np
from xdsl.ir import SSAValue

from ...dialects.body import BodyBuilder
from ...dialects.types import dtype_of, element_name, shape_of
from .derive_constants import derive, has_values
from .graph_builder import GraphBuilder
from .lowering import NotLowered

EXACT = 1 << 24
#: Largest |value - zero point| of 8-bit operands.
LARGEST_CODE = 255


def centred(
    b: GraphBuilder, x: SSAValue, zero: SSAValue | None, zero_shape: tuple[int, ...] | None = None
) -> SSAValue:
    """``x - zero`` as float32, with ``zero`` first reshaped to ``zero_shape`` when said.

    A constant stays a constant.
    """
    if zero is None:
        if b.is_constant(x):
            return derive(b, [x], shape_of(x), _float32, "float", np.float32)
        return b.cast(x, np.dtype(np.float32))
    wanted = shape_of(zero) if zero_shape is None else zero_shape
    if b.is_constant(x) and b.is_constant(zero):
        return derive(
            b,
            [x, zero],
            shape_of(x),
            lambda a, z: _float32(a) - _float32(z).reshape(wanted),
            "centred",
            np.float32,
        )
    shaped = b.reshape(zero, wanted)
    body = b.body(x, shaped)
    return b.map([x, shaped], body.finish(body.sub(body.cast(0, "f32"), body.cast(1, "f32"))))


def _float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32)


def exact_parts(
    b: GraphBuilder, weight: SSAValue, size: int, norms: Callable[[np.ndarray], np.ndarray]
) -> list[tuple[int, int]]:
    """Ranges of the inner dim (of ``size``) over which a sum of products stays exact.

    ``norms`` gives from the centred weight the sum of magnitudes by (output, inner index). Without
    the weight's values the worst is assumed. Raises NotLowered when one index alone is too much.
    """
    if has_values(b, weight):
        array = b.const_of(weight)
        assert array is not None
        table = norms(array) * LARGEST_CODE
    else:
        ones = norms(np.broadcast_to(np.float32(LARGEST_CODE), shape_of(weight)))
        table = ones * LARGEST_CODE
    parts, start = [], 0
    total = np.zeros(table.shape[0])
    for i in range(size):
        grown = total + table[:, i]
        if grown.max(initial=0) >= EXACT:
            if i == start:
                raise NotLowered("its integer sums pass 2^24 and are not exact in float32")
            parts.append((start, i))
            start, grown = i, table[:, i].astype(np.float64)
            if grown.max(initial=0) >= EXACT:
                raise NotLowered("its integer sums pass 2^24 and are not exact in float32")
        total = grown
    return [*parts, (start, size)]


def add_parts(b: GraphBuilder, parts: list[SSAValue]) -> SSAValue:
    """The sum of exact float32 ``parts`` as int32."""
    body = b.body(*parts)
    total = body.cast(0, "i32")
    for i in range(1, len(parts)):
        total = body.add(total, body.cast(i, "i32"))
    return b.map(parts, body.finish(total))


def requantize(
    b: GraphBuilder, acc: SSAValue, scale: SSAValue, zero: SSAValue, dtype: np.dtype
) -> SSAValue:
    """int32 ``acc * scale``, rounded half to even, plus ``zero``, saturated to 8-bit ``dtype``."""
    bounds = np.iinfo(dtype)
    body = b.body(acc, scale, zero)
    scaled = body.mul(body.cast(0, "f32"), body.cast(1, "f32"))
    shifted = body.add(body.unary("roundeven", scaled), body.cast(2, "f32"))
    clipped = _clip(body, shifted, float(bounds.min), float(bounds.max))
    # through i32, which every value fits, so that unsigned results need no float conversion
    return b.map(
        [acc, scale, zero], body.finish(body.cast(body.cast(clipped, "i32"), element_name(dtype)))
    )


def _clip(body: BodyBuilder, x: int, low: float, high: float) -> int:
    lowered = body.binary("maximumf", x, body.const(low, "f32"))
    return body.binary("minimumf", lowered, body.const(high, "f32"))


def combined_scale(
    b: GraphBuilder, x: SSAValue, w: SSAValue, y: SSAValue, shapes: list[tuple[int, ...]]
) -> SSAValue:
    """``x * w / y`` of scales reshaped to ``shapes``; a constant when all three are."""
    if all(b.is_constant(v) for v in (x, w, y)):
        full = np.broadcast_shapes(*shapes)

        def combine(*arrays: np.ndarray) -> np.ndarray:
            a, c, d = (_float32(v).reshape(s) for v, s in zip(arrays, shapes, strict=True))
            return np.broadcast_to(a * c / d, full)

        return derive(b, [x, w, y], full, combine, "scale", np.float32)
    ins = [b.reshape(v, s) for v, s in zip((x, w, y), shapes, strict=True)]
    body = b.body(*ins)
    registers = [body.cast(i, "f32") for i in range(3)]
    product = body.mul(registers[0], registers[1])
    return b.map(ins, body.finish(body.binary("divf", product, registers[2])))


def is_byte(value: SSAValue) -> bool:
    """Whether ``value`` holds 8-bit integers."""
    dtype = dtype_of(value)
    return dtype.kind in "iu" and dtype.itemsize == 1
