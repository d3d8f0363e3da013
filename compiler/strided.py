"""Strided views as numbers: compose them, merge their dims, lay out the rows of a convolution.

A view reads element ``offset + sum(index * strides)`` of a row-major operand. All of it is exact
integer arithmetic on tuples; no arrays, no IR.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ..dialects.shapes import row_major

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Strided:
    """A view: its shape, element strides and offset into the operand."""

    shape: Shape
    strides: Shape
    offset: int = 0

    @staticmethod
    def whole(shape: Sequence[int]) -> "Strided":
        """The view that is its operand."""
        return Strided(tuple(shape), row_major(tuple(shape)))

    def is_whole(self, operand_shape: Sequence[int]) -> bool:
        """Whether the view is its operand, unmoved and unreshaped."""
        if self.shape != tuple(operand_shape) or self.offset != 0:
            return False
        own = row_major(self.shape)
        return all(n == 1 or a == b for n, a, b in zip(self.shape, self.strides, own, strict=True))


def merge_dims(view: Strided) -> Strided:
    """The same elements in the same order with the fewest dims (sizes of 1 dropped)."""
    shape: list[int] = []
    strides: list[int] = []
    for size, stride in zip(view.shape, view.strides, strict=True):
        if size == 1:
            continue
        if shape and strides[-1] == size * stride:
            shape[-1] *= size
            strides[-1] = stride
        else:
            shape.append(size)
            strides.append(stride)
    return Strided(tuple(shape), tuple(strides), view.offset)


def compose(inner: Strided, outer: Strided) -> Strided | None:
    """``outer`` applied to the row-major result of ``inner`` as one view of inner's operand.

    None where no single view says it: an outer step that carries from one inner dim to the next.
    """
    if 0 in outer.shape:
        return Strided(outer.shape, (0,) * len(outer.shape), 0)
    base = merge_dims(inner)
    steps = row_major(base.shape)
    start = _digits(outer.offset, steps)
    low, high = list(start), list(start)
    strides = []
    for size, stride in zip(outer.shape, outer.strides, strict=True):
        digits = _digits(stride, steps) if size > 1 else [0] * len(steps)
        for axis, digit in enumerate(digits):
            reach = (size - 1) * digit
            low[axis] += min(reach, 0)
            high[axis] += max(reach, 0)
        strides.append(_dot(digits, base.strides))
    for axis in reversed(range(len(strides))):
        if outer.shape[axis] == 1:  # any stride would do: one by which whole views look whole
            last = axis + 1 == len(strides)
            strides[axis] = 1 if last else outer.shape[axis + 1] * strides[axis + 1]
    # Without a carry the digits of a sum are the sums of the digits, so the address is affine.
    if any(a < 0 or b >= n for a, b, n in zip(low, high, base.shape, strict=True)):
        return None
    return Strided(outer.shape, tuple(strides), base.offset + _dot(start, base.strides))


def reshape(view: Strided, shape: Sequence[int]) -> Strided | None:
    """``view`` in another shape as one view; None where that takes two."""
    return compose(view, Strided.whole(shape))


def _digits(number: int, steps: Sequence[int]) -> list[int]:
    """``number`` in the mixed radix of row-major ``steps``; negative numbers have digits <= 0."""
    sign, rest = (-1, -number) if number < 0 else (1, number)
    digits = []
    for step in steps:
        digit, rest = divmod(rest, step)
        digits.append(sign * digit)
    return digits


def _dot(a: Sequence[int], b: Sequence[int]) -> int:
    return sum(x * y for x, y in zip(a, b, strict=True))
