"""Einstein sums as matrix products, reductions and views.

Labels are letters; the dims of an ellipsis are numbered from the right as ``-1, -2, ...``, so that
they align as numpy broadcasts. Operands are multiplied from left to right; of every pair, labels
that are shared and still needed are batch dims, shared ones that are not needed are summed over.
"""

from collections.abc import Sequence
from math import prod

from xdsl.ir import SSAValue

from ...dialects.shapes import row_major
from ...dialects.types import shape_of
from .derive_constants import reshaped, transposed
from .graph_builder import GraphBuilder
from .lowering import NotLowered
from .matrix_product import multiply

Label = str | int
Labels = tuple[Label, ...]


def parse_equation(equation: str, ranks: Sequence[int]) -> tuple[list[Labels], Labels]:
    """The labels of each operand and of the result. Raises NotLowered where they do not fit."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")
    terms = left.split(",")
    if len(terms) != len(ranks):
        raise NotLowered(f"equation {equation!r} has {len(terms)} terms for {len(ranks)} operands")
    labels = [_labels(term, rank) for term, rank in zip(terms, ranks, strict=True)]
    dots = max((sum(isinstance(x, int) for x in term) for term in labels), default=0)
    hidden: Labels = tuple(range(-dots, 0))
    if arrow:
        before, ellipsis, after = right.partition("...")
        return labels, (*before, *(hidden if ellipsis else ()), *after)
    letters = left.replace(".", "").replace(",", "")
    return labels, (*hidden, *sorted(c for c in set(letters) if letters.count(c) == 1))


def _labels(term: str, rank: int) -> Labels:
    before, ellipsis, after = term.partition("...")
    count = rank - len(before) - len(after)
    if count < 0 or (count and not ellipsis):
        raise NotLowered(f"einsum term {term!r} does not fit {rank} dims")
    return (*before, *range(-count, 0), *after)


def contract_labels(
    b: GraphBuilder, operands: Sequence[SSAValue], terms: Sequence[Labels], out: Labels
) -> SSAValue:
    """The sum of products of ``operands`` over all labels that are not in ``out``."""
    _check_sizes(operands, terms)
    pairs = [_diagonal(b, x, term) for x, term in zip(operands, terms, strict=True)]
    left, have = pairs[0]
    for i in range(1, len(pairs)):
        right, other = pairs[i]
        needed = {*out, *(label for _, term in pairs[i + 1 :] for label in term)}
        left, have = _multiply_pair(b, (left, have), (right, other), needed)
    left, have = _sum_out(b, left, have, set(out))
    missing = [label for label in out if label not in have]
    if missing:
        raise NotLowered(f"einsum result labels {missing} are in no operand")
    return transposed(b, left, [have.index(label) for label in out])


def _check_sizes(operands: Sequence[SSAValue], terms: Sequence[Labels]) -> None:
    sizes: dict[Label, int] = {}
    for x, term in zip(operands, terms, strict=True):
        for label, size in zip(term, shape_of(x), strict=True):
            known = sizes.get(label, 1)
            if size != known and 1 not in (size, known):
                raise NotLowered(f"einsum label {label} has sizes {known} and {size}")
            sizes[label] = size if known == 1 else known


def _diagonal(b: GraphBuilder, x: SSAValue, term: Labels) -> tuple[SSAValue, Labels]:
    """Dims with the same label become one dim along their diagonal."""
    unique = tuple(dict.fromkeys(term))
    if len(unique) == len(term):
        return x, term
    own, shape = row_major(shape_of(x)), shape_of(x)
    at = {label: [i for i, t in enumerate(term) if t == label] for label in unique}
    if any(len({shape[i] for i in dims}) > 1 for dims in at.values()):
        raise NotLowered("an einsum diagonal of unequal sizes")
    out = [shape[dims[0]] for dims in at.values()]
    strides = [sum(own[i] for i in dims) for dims in at.values()]
    return b.view(x, out, strides), unique


def _sum_out(
    b: GraphBuilder, x: SSAValue, labels: Labels, needed: set[Label]
) -> tuple[SSAValue, Labels]:
    axes = [i for i, label in enumerate(labels) if label not in needed]
    if not axes:
        return x, labels
    return b.reduce(x, "sum", axes), tuple(label for label in labels if label in needed)


def _multiply_pair(
    b: GraphBuilder,
    left: tuple[SSAValue, Labels],
    right: tuple[SSAValue, Labels],
    needed: set[Label],
) -> tuple[SSAValue, Labels]:
    """The product of two operands; a result label that nobody needs is summed out later."""
    x, x_labels = _sum_out(b, *left, needed | set(right[1]))
    y, y_labels = _sum_out(b, *right, needed | set(x_labels))
    x_sizes = dict(zip(x_labels, shape_of(x), strict=True))
    y_sizes = dict(zip(y_labels, shape_of(y), strict=True))
    x, x_labels = _drop_ones(b, x, x_labels, y_sizes)
    y, y_labels = _drop_ones(b, y, y_labels, x_sizes)
    shared = [label for label in x_labels if label in y_labels]
    batch = [label for label in shared if label in needed]
    inner = [label for label in shared if label not in needed]
    rows = [label for label in x_labels if label not in shared]
    cols = [label for label in y_labels if label not in shared]
    sizes = {
        label: max(x_sizes.get(label, 0), y_sizes.get(label, 0)) for label in x_sizes | y_sizes
    }
    x = _grouped(b, x, x_labels, (batch, rows, inner), sizes)
    y = _grouped(b, y, y_labels, (batch, inner, cols), sizes)
    kept = (*batch, *rows, *cols)
    product = multiply(b, x, y) if inner else b.binary("mul", x, y)
    return b.reshape(product, [sizes[label] for label in kept]), kept


def _drop_ones(
    b: GraphBuilder, x: SSAValue, labels: Labels, others: dict[Label, int]
) -> tuple[SSAValue, Labels]:
    """Without the dims of size 1 that broadcast against the other operand's."""
    shape = shape_of(x)
    keep = [i for i, label in enumerate(labels) if shape[i] != 1 or others.get(label, 1) == 1]
    if len(keep) == len(labels):
        return x, labels
    return reshaped(b, x, [shape[i] for i in keep]), tuple(labels[i] for i in keep)


def _grouped(
    b: GraphBuilder,
    x: SSAValue,
    labels: Labels,
    groups: tuple[Sequence[Label], Sequence[Label], Sequence[Label]],
    sizes: dict[Label, int],
) -> SSAValue:
    """``x`` as [batch.., rows, cols] for three groups of labels; no batch dims for none."""
    order = [labels.index(label) for group in groups for label in group]
    x = transposed(b, x, order)
    rows, cols = ([*map(sizes.__getitem__, group)] for group in groups[1:])
    batch = [sizes[label] for label in groups[0]]
    return reshaped(b, x, (*([prod(batch)] if batch else []), prod(rows), prod(cols)))
