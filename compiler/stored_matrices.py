"""The matrices of a module that get codes and ranges, and the machine that they are for."""

from collections.abc import Iterator

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from ..backends.targets import MemcapTarget, load_target
from ..dialects import tile
from ..errors import IRError
from .context import weights_of
from .diagnostics import where_of
from .rewriting import whole_ops
from .weights import WeightStore


def machine_with_arrays(target: str, step: str) -> MemcapTarget:
    """The target of pass ``step``. Raises IRError for one without arrays."""
    machine = load_target(target)
    if not isinstance(machine, MemcapTarget):
        raise IRError(
            f"{step} needs a target with arrays, {machine.name} has none",
            help="give target=memcap-demo or a .toml file of a memcap machine",
        )
    return machine


def stored_matrices(ctx: Context, module: ModuleOp) -> Iterator[tile.ProgramOp]:
    """Each ``tile.program`` whose values are there: those known by shape only are left alone."""
    weights = weights_of(ctx)
    for op in list(whole_ops(module)):
        if isinstance(op, tile.ProgramOp) and has_values(weights, op.weight.data):
            yield op


def has_values(weights: WeightStore, key: str) -> bool:
    """Whether the store holds the values of ``key``."""
    return key in weights and not weights.is_absent(key)


def stored_codes(op: tile.ProgramOp, weights: WeightStore) -> tuple[np.ndarray, np.ndarray]:
    """Codes int8 [G, K, N] and scale float32 [G, N]. Raises IRError before ``round-weights``."""
    if op.codes is None or op.scale is None:
        raise IRError(
            f"matrix {op.weight.data} must have codes", where=where_of(op), help="run round-weights"
        )
    return weights[op.codes.data], weights[op.scale.data]


def input_scale_of(op: tile.StoredMatrixOp) -> float | None:
    """Full scale of the inputs; None: that of each vector, found while running."""
    return None if op.input_scale is None else float(op.input_scale.value.data)


def adc_bits_of(op: tile.StoredMatrixOp) -> int | None:
    """Resolution of the matrix's conversions; None: the target's."""
    return None if op.adc_bits is None else int(op.adc_bits.value.data)
