"""Give each stored matrix integer codes, column scales and converter ranges.

With calibration statistics in the context a matrix gets a fixed input scale and ranges from what
its inputs really make; without, the input's range is found while running and the ranges come from
the codes alone. Matrices whose values are absent are left as they are.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import FloatAttr, ModuleOp, f32
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import VerifyException

from ...backends.targets import MemcapTarget, load_target, target_from_dict, target_to_dict
from ...dialects import graph, tile
from ...dialects.attributes import WeightAttr, table_attr
from ...dialects.types import tensor_type
from ...errors import IRError, ModelError
from ..context import calibration_of, say_unchanged, weights_of
from ..diagnostics import single_line, where_of
from ..quantize.adc_range import default_adc_range, observed_adc_range
from ..quantize.calibration import MatrixStatistics
from ..quantize.weight_codes import quantize_columns
from ..rewriting import replace_op, whole_ops
from ..weights import WeightStore


@dataclass(frozen=True)
class QuantizeMatrices(ModulePass):
    """``target`` sets bits and slices; the other options override it.

    ``slices`` is the number of cells a weight is cut into. ``dynamic_inputs`` finds each input
    vector's range while running even where there are calibration statistics.
    """

    name = "quantize-matrices"

    target: str
    weight_bits: int | None = None
    input_bits: int | None = None
    adc_bits: int | None = None
    slices: int | None = None
    dynamic_inputs: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        weights, statistics = weights_of(ctx), calibration_of(ctx)
        target = self.machine()
        programs = [inner for inner in whole_ops(op) if isinstance(inner, tile.ProgramOp)]
        for program in programs:
            if not _has_values(program, weights):
                continue
            if not _fits_cells(weights[program.weight.data]):
                _compute_digitally(program, weights)
            else:
                _quantize(program, weights, target, statistics, self.dynamic_inputs)
        if not programs:
            say_unchanged(ctx)

    def machine(self) -> MemcapTarget:
        """The target with the overriding options. Raises IRError for a target without arrays."""
        target = load_target(self.target)
        if not isinstance(target, MemcapTarget):
            raise IRError(
                f"quantize-matrices needs a target with arrays, {target.name} has none",
                help="give target=memcap-demo or a .toml file of a memcap machine",
            )
        return override_bits(target, self.weight_bits, self.input_bits, self.adc_bits, self.slices)


def override_bits(
    target: MemcapTarget,
    weight_bits: int | None = None,
    input_bits: int | None = None,
    adc_bits: int | None = None,
    slices: int | None = None,
) -> MemcapTarget:
    """``target`` with other resolutions; None leaves one as it is. Raises TargetError."""
    data = target_to_dict(target)
    for section, key, value in (
        ("numerics", "weight_bits", weight_bits),
        ("numerics", "input_bits", input_bits),
        ("adc", "bits", adc_bits),
    ):
        if value is not None:
            data[section][key] = value
    if input_bits is not None:
        data["dac"]["bits"] = max(data["dac"]["bits"], input_bits)
    if slices is not None:
        magnitude = int(data["numerics"]["weight_bits"]) - 1
        data["array"]["levels"] = 2 ** -(-magnitude // max(1, slices))
    changed = target_from_dict(data, target.name)
    assert isinstance(changed, MemcapTarget)
    return changed


def _has_values(op: tile.ProgramOp, weights: WeightStore) -> bool:
    key = op.weight.data
    return op.codes is None and key in weights and not weights.is_absent(key)


def _fits_cells(array: np.ndarray) -> bool:
    """Whether every weight is a number; least and greatest tell, for NaN is both."""
    return bool(np.isfinite(array.min()) and np.isfinite(array.max()))


def _compute_digitally(op: tile.ProgramOp, weights: WeightStore) -> None:
    """Let the vector engine compute the products of a matrix that holds NaN or infinity."""
    array = weights[op.weight.data]
    array = array if len(array) > 1 else array[0]
    key = weights.add(f"{op.weight.data}.digital", array)
    constant = graph.ConstantOp(WeightAttr.of(key), tensor_type(array.shape, array.dtype))
    constant.location = op.location
    assert op.parent is not None
    op.parent.insert_op_before(constant, op)
    for use in list(op.result.uses):
        product = use.operation
        assert isinstance(product, tile.MvmOp)
        new = tile.ContractOp.make([product.x, constant.result], location=product.location)
        new.attributes.update(product.attributes)
        op.parent.insert_op_before(new, product)
        replace_op(product, list(new.results))
    op.parent.erase_op(op)


def _quantize(
    op: tile.ProgramOp,
    weights: WeightStore,
    target: MemcapTarget,
    statistics: Mapping[str, MatrixStatistics],
    dynamic_inputs: bool,
) -> None:
    try:
        tiles = op.tile_table
        codes, scale = quantize_columns(weights[op.weight.data], target.numerics.weight_bits)
    except VerifyException as error:
        raise IRError(single_line(str(error)), where=where_of(op)) from error
    except ValueError as error:
        raise ModelError(str(error), where=where_of(op)) from error
    seen = statistics.get(op.weight.data)
    if seen is None or not seen.rows.size:
        ranges = default_adc_range(codes, scale, tiles, target)
    else:
        full_scale = None
        if not dynamic_inputs:
            full_scale = float(np.float32(seen.input_scale(target.numerics.input_bits) or 1.0))
            op.input_scale = FloatAttr(full_scale, f32)
        ranges = observed_adc_range(codes, scale, tiles, target, seen.rows, full_scale)
    op.adc_range = table_attr(ranges.astype(np.float32))
    op.codes = WeightAttr.of(weights.add(f"{op.weight.data}.codes", codes))
    op.scale = WeightAttr.of(weights.add(f"{op.weight.data}.scale", scale))
