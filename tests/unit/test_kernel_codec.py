"""Kernels as words: all kinds round-trip, hostile words are refused."""

import numpy as np
import pytest

from semc.backends.kernel_codec import (
    KINDS,
    OPCODES,
    PREDICATES,
    decode_kernels,
    encode_kernels,
)
from semc.dialects.body import CMPF, CMPI, scalar_ops
from semc.dialects.elements import ELEMENTS, OF_DTYPE
from semc.dialects.kernel import FIELDS, Body, Kernel, MicroOp, with_defaults
from semc.dialects.types import element_name
from semc.errors import ProgramError
from semc.runtime.execute.kernels import scalar_ops as runtime_ops

BODY = Body(
    ("f32", "i64"),
    (
        MicroOp("constant", "f32", (), -0.0),
        MicroOp("constant", "i64", (), 2**64 - 1),
        MicroOp("constant", "i64", (), -(2**63)),
        MicroOp("sitofp", "f32", (1,)),
        MicroOp("cmpf", "i1", (0, 5), "olt"),
        MicroOp("select", "f32", (6, 2, 5)),
    ),
    7,
)
ALL = [
    Kernel("map", {"body": BODY}),
    Kernel("reduce", with_defaults("reduce", {"kind": "argmax", "axes": (1,), "keepdims": True})),
    Kernel("view", {"offset": 7, "strides": (-4, 0, 1)}),
    Kernel(
        "pad",
        {"low": (1, -2), "high": (0, 3), "interior": (0, 0), "mode": "edge", "value": 1e300},
    ),
    Kernel("concat", {"axis": 2}),
    Kernel("gather", with_defaults("gather", {"mode": "nd"})),
    Kernel("scatter", with_defaults("scatter", {"mode": "elements", "reduction": "max"})),
    Kernel("resample", {"axis": -1}),
    Kernel(
        "window",
        with_defaults(
            "window",
            {"kind": "dot", "kernel": (3, 3), "strides": (1, 1), "dilations": (1, 1),
             "low": (0, 0), "high": (1, 1)},
        ),
    ),
    Kernel("contract", {}),
    Kernel("cumulate", with_defaults("cumulate", {"kind": "prod", "axis": 0, "reverse": True})),
    Kernel("host", {"model": b"\0model\xff"}),
    Kernel("update", {}),
    Kernel("argsort", {"axis": 1, "count": 2, "descending": True}),
]  # fmt: skip


def test_every_kind_round_trips() -> None:
    assert [k.kind for k in ALL] == list(KINDS)
    assert set(KINDS) == set(FIELDS)
    decoded = decode_kernels(encode_kernels(ALL))
    assert decoded == ALL
    body = decoded[0].attrs["body"]
    assert str(body.ops[0].imm) == "-0.0"


def test_not_a_number_keeps_its_bits() -> None:
    kernel = Kernel("pad", {**ALL[3].attrs, "value": float("nan")})
    (decoded,) = decode_kernels(encode_kernels([kernel]))
    assert np.isnan(decoded.attrs["value"])


def test_equal_kernels_are_stored_once() -> None:
    once, twice = encode_kernels(ALL), encode_kernels([*ALL, *ALL])
    assert len(once["kernels.words"]) == len(twice["kernels.words"])
    assert len(once["kernels.bytes"]) == len(twice["kernels.bytes"])
    decoded = decode_kernels(twice)
    assert decoded == [*ALL, *ALL]
    assert decoded[0] is decoded[len(ALL)]


def test_no_kernels_at_all() -> None:
    assert decode_kernels(encode_kernels([])) == []


def test_everything_that_a_body_may_say_has_a_number() -> None:
    assert set(PREDICATES) == {*CMPF, *CMPI}
    runs = {
        *runtime_ops.PLAIN, *runtime_ops.SIGNED, *runtime_ops.UNSIGNED, *runtime_ops.SPECIAL,
        *runtime_ops.CONVERT, *runtime_ops.ON_BOOL, "cmpf", "cmpi", "select", "constant",
    }  # fmt: skip
    assert runs <= set(OPCODES)
    assert set(OPCODES) - runs <= set(scalar_ops())
    assert {(e.name, e.dtype) for e in ELEMENTS} == {
        (element_name(dtype), dtype) for dtype in OF_DTYPE
    }


@pytest.mark.parametrize(
    ("op", "reason"),
    [
        (MicroOp("telepathy", "f32", (0,)), "no number for 'telepathy'"),
        (MicroOp("cmpf", "i1", (0, 0), "maybe"), "no number for 'maybe'"),
        (MicroOp("constant", "i64", (), 2**64), "must fit 64 bits"),
    ],
)
def test_what_has_no_number_cannot_be_written(op: MicroOp, reason: str) -> None:
    with pytest.raises(ProgramError, match=reason):
        encode_kernels([Kernel("map", {"body": Body(("f32",), (op,), 1)})])


def test_hostile_words_are_refused_or_harmless() -> None:
    tensors = encode_kernels(ALL)
    words = tensors["kernels.words"]
    refusals = []
    for position in range(len(words)):
        for value in (-1, 0, 3, 255, 2**62, -(2**63)):
            changed = words.copy()
            changed[position] = value
            try:
                decode_kernels({**tensors, "kernels.words": changed})
            except ProgramError as error:
                refusals.append(str(error))
    assert len(refusals) > len(words)
    assert all(len(text.splitlines()) == 1 for text in refusals)


@pytest.mark.parametrize("ranges", [[[0, 3]], [[1, 10**6]], [[3, 2]], [[-5, 2]], [[1, 1]]])
def test_hostile_ranges_are_refused(ranges: list[list[int]]) -> None:
    tensors = encode_kernels(ALL) | {"kernels.ranges": np.array(ranges, np.int64)}
    with pytest.raises(ProgramError):
        decode_kernels(tensors)


@pytest.mark.parametrize("name", ["kernels.words", "kernels.ranges", "kernels.bytes"])
def test_missing_and_mistyped_sections_are_refused(name: str) -> None:
    tensors = encode_kernels(ALL)
    with pytest.raises(ProgramError, match=name):
        decode_kernels({k: v for k, v in tensors.items() if k != name})
    with pytest.raises(ProgramError, match=name):
        decode_kernels({**tensors, name: tensors[name].astype(np.float32)})


def test_another_version_is_refused() -> None:
    tensors = encode_kernels(ALL)
    changed = tensors["kernels.words"].copy()
    changed[0] = 99
    with pytest.raises(ProgramError, match="version"):
        decode_kernels({**tensors, "kernels.words": changed})
