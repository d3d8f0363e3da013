"""Silicon area of a memcap chip, one formula in one place.

The base die lies under the array layers (CMOS under array, as in 3-D NAND), so the die is as large
as the larger of the two: A = max(A_base, A_layer). Where ``stack.planar`` says that the arrays lie
beside their circuits, as in a macro without a stack, it is the sum: A = A_base + layers A_layer.
"""

from .memcap import MemcapTarget


def area_parts_mm2(target: MemcapTarget) -> dict[str, float]:
    """Area by part, mm2: base-die parts, their sum ``base``, one array ``layer``, and ``die``.

    Converters, drivers and amplifiers are counted per stack and active layer, since the layers of
    a stack share them.
    """
    stacks = target.stack.grid_rows * target.stack.grid_cols * target.stack.max_active_layers
    width_um, height_um = target.site_um
    amplifiers = target.array.cols if target.array.readout == "amplifier" else 0
    controller = target.controller
    further = target.stack.layers * (controller.sequencers_per_layer - 1)
    base = {
        "adc": stacks * target.adcs_per_array * target.adc.area_um2 * 1e-6,
        "dac": stacks * target.array.rows * target.dac.area_um2 * 1e-6,
        "amplifier": stacks * amplifiers * target.array.amplifier_area_um2 * 1e-6,
        "vector": target.vector.area_mm2,
        "sram": target.sram.area_mm2,
        "controller": controller.area_mm2 + further * controller.sequencer_area_mm2,
        "io": controller.io_area_mm2,
    }
    sites = target.stack.grid_rows * target.stack.grid_cols
    layer = sites * width_um * height_um * 1e-6
    total = sum(base.values())
    planar = total + target.stack.layers * layer
    die = planar if target.stack.planar else max(total, layer)
    return base | {"base": total, "layer": layer, "die": die}


def die_area_mm2(target: MemcapTarget) -> float:
    """Area of the die, mm2."""
    return area_parts_mm2(target)["die"]
