"""Kernels: the digital operations as plain data, one meaning at every level.

A tensor op of the ``graph`` or ``tile`` dialect, a slot of a placed program and a vector
instruction in a program file all denote a :class:`Kernel`. Interpreters and executors run kernels,
the backends encode them; neither needs the IR. :data:`FIELDS` is the one list of attributes.

    kernel = (kind, attrs)
    attrs  = what FIELDS[kind] names, in that order
    body   = scalar program of a ``map``: registers 0..n-1 are the inputs, then one per op
"""

from dataclasses import dataclass
from typing import Any, Literal

FieldType = Literal["int", "ints", "bool", "float", "str", "bytes", "body"]

#: Attributes of each kind of kernel, in the order in which they are encoded.
FIELDS: dict[str, tuple[tuple[str, FieldType], ...]] = {
    "map": (("body", "body"),),
    "reduce": (("kind", "str"), ("axes", "ints"), ("keepdims", "bool"), ("select_last", "bool")),
    "view": (("offset", "int"), ("strides", "ints")),
    "pad": (
        ("low", "ints"),
        ("high", "ints"),
        ("interior", "ints"),
        ("mode", "str"),
        ("value", "float"),
    ),
    "concat": (("axis", "int"),),
    "gather": (("mode", "str"), ("axis", "int"), ("batch_dims", "int")),
    "scatter": (("mode", "str"), ("axis", "int"), ("reduction", "str")),
    "update": (),
    "resample": (("axis", "int"),),
    "window": (
        ("kind", "str"),
        ("kernel", "ints"),
        ("strides", "ints"),
        ("dilations", "ints"),
        ("low", "ints"),
        ("high", "ints"),
        ("groups", "int"),
        ("count_include_pad", "bool"),
        ("channels_last", "bool"),
    ),
    "contract": (),
    "cumulate": (("kind", "str"), ("axis", "int"), ("exclusive", "bool"), ("reverse", "bool")),
    "argsort": (("axis", "int"), ("count", "int"), ("descending", "bool")),
    "host": (("model", "bytes"),),
}

#: Words that the string attributes may hold.
CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    ("reduce", "kind"): ("sum", "mean", "max", "min", "prod", "argmax", "argmin"),
    ("pad", "mode"): ("constant", "reflect", "edge", "wrap"),
    ("gather", "mode"): ("axis", "elements", "nd"),
    ("scatter", "mode"): ("elements", "nd"),
    ("scatter", "reduction"): ("none", "add", "mul", "max", "min"),
    ("window", "kind"): ("im2col", "max", "mean", "dot"),
    ("cumulate", "kind"): ("sum", "prod"),
}


#: Iterations of a loop that nothing bounds.
UNBOUNDED = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class MicroOp:
    """One scalar operation: ``name`` is an arith/math op, ``type`` its result type name."""

    name: str
    type: str
    operands: tuple[int, ...]
    imm: float | int | str | None = None


@dataclass(frozen=True, slots=True)
class Body:
    """A scalar program: input type names, operations in order, the register of the result."""

    inputs: tuple[str, ...]
    ops: tuple[MicroOp, ...]
    result: int


@dataclass(frozen=True, slots=True)
class Kernel:
    """One digital operation; ``attrs`` holds exactly the names in ``FIELDS[kind]``."""

    kind: str
    attrs: dict[str, Any]

    def __post_init__(self) -> None:
        expected = [name for name, _ in FIELDS[self.kind]]
        if sorted(expected) != sorted(self.attrs):
            raise ValueError(f"kernel {self.kind} has {sorted(self.attrs)}, needs {expected}")


#: Values an attribute has when it is not said (and is then not printed).
DEFAULTS: dict[tuple[str, str], Any] = {
    ("reduce", "keepdims"): False,
    ("reduce", "select_last"): False,
    ("view", "offset"): 0,
    ("pad", "mode"): "constant",
    ("pad", "value"): 0.0,
    ("gather", "axis"): 0,
    ("gather", "batch_dims"): 0,
    ("scatter", "axis"): 0,
    ("scatter", "reduction"): "none",
    ("window", "groups"): 1,
    ("window", "count_include_pad"): False,
    ("window", "channels_last"): False,
    ("cumulate", "exclusive"): False,
    ("cumulate", "reverse"): False,
    ("argsort", "descending"): False,
}


def with_defaults(kind: str, attrs: dict[str, Any]) -> dict[str, Any]:
    """``attrs`` completed by :data:`DEFAULTS`, in the order of :data:`FIELDS`."""
    full = {**{field: v for (k, field), v in DEFAULTS.items() if k == kind}, **attrs}
    return {name: full[name] for name, _ in FIELDS[kind] if name in full}
