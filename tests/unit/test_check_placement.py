"""The verifier on placements of real models: each is accepted, and refused with one rule broken."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from xdsl.dialects.builtin import (
    DictionaryAttr,
    FloatAttr,
    IntegerAttr,
    ModuleOp,
    StringAttr,
    f64,
)

from semc.compiler.driver import CompileOptions, compile_model
from semc.compiler.passes.check_placement import is_slot, placement_faults
from semc.compiler.placement.machine import SiteGrid
from semc.compiler.placement.route import route_tiles
from semc.compiler.rewriting import whole_ops
from semc.dialects import place
from semc.dialects.attributes import table_attr, table_of
from semc.dialects.tile_table import lots

MODELS = (
    ("digits_mlp", "memcap-demo"),
    ("digits_cnn", "memcap-demo"),
    ("digits_cnn", "memcap-phone"),
    ("digits_lstm", "memcap-demo"),
    ("digits_transformer", "memcap-demo"),
)


@pytest.fixture(scope="module", params=MODELS, ids="-".join)
def placed(request: pytest.FixtureRequest, examples: Path) -> ModuleOp:
    """A model at the place level, as the compiler leaves it."""
    model, target = request.param
    options = CompileOptions(target=target, keep_levels=True)
    return compile_model(examples / f"{model}.onnx", options).levels["place"]


def machine_of(module: ModuleOp) -> place.MachineOp:
    return next(op for op in module.ops if isinstance(op, place.MachineOp))


def programs_of(module: ModuleOp) -> list[place.ProgramOp]:
    return [op for op in whole_ops(module) if isinstance(op, place.ProgramOp)]


def site_of(module: ModuleOp) -> list[int]:
    """The site of the last matrix's last tile, and the cell where it begins."""
    sites = programs_of(module)[-1].sites
    assert sites is not None
    return [int(n) for n in table_of(sites)[-1]]


def move_to(program: place.ProgramOp, tile: int, site: list[int], module: ModuleOp) -> None:
    """Put a tile elsewhere, its route too."""
    assert program.sites is not None
    sites = np.array(table_of(program.sites))
    sites[tile] = site
    program.sites = table_attr(sites)
    layers, rows, cols = machine_of(module).grid.get_values()
    grid = SiteGrid(layers, rows, cols, *machine_of(module).array.get_values(), active=1)
    for op in whole_ops(module):
        if isinstance(op, place.RouteOp) and op.crossbar == program.result:
            tiles, rounds, copy = table_of(program.tiles), program.round_table, program.copy_of_tile
            lot = lots(sites, rounds, 0 * rounds if copy is None else copy)
            op.table = table_attr(route_tiles(tiles, sites, lot, grid, 1.0, 4.0))


def mark_broken(module: ModuleOp, name: str, row: list[int]) -> None:
    machine_of(module).defects = DictionaryAttr({name: table_attr(np.array([row], np.int32))})


def heat(module: ModuleOp, **numbers: float) -> None:
    machine = machine_of(module)
    assert machine.heat is not None
    new = {name: FloatAttr(number, f64) for name, number in numbers.items()}
    machine.heat = DictionaryAttr({**machine.heat.data, **new})


# one rule broken each


def two_blocks_on_one_cell(module: ModuleOp) -> None:
    """The last tile goes to the corner of an array that has another one there."""
    corners = [
        site
        for program in programs_of(module)
        for site in table_of(program.sites).tolist()  # type: ignore[arg-type]
        if site[3:] == [0, 0]
    ]
    program = programs_of(module)[-1]
    move_to(program, -1, next(s for s in corners if s != site_of(module)), module)


def a_tile_off_the_grid(module: ModuleOp) -> None:
    program = programs_of(module)[-1]
    layers = machine_of(module).grid.get_values()[0]
    move_to(program, len(table_of(program.tiles)) - 1, [layers, *site_of(module)[1:]], module)


def a_tile_over_the_edge(module: ModuleOp) -> None:
    rows = machine_of(module).array.get_values()[0]
    layer, row, col, _, array_col = site_of(module)
    program = programs_of(module)[-1]
    last = len(table_of(program.tiles)) - 1
    move_to(program, last, [layer, row, col, rows, array_col], module)


def a_route_to_nowhere(module: ModuleOp) -> None:
    route = next(op for op in whole_ops(module) if isinstance(op, place.RouteOp))
    table = np.array(table_of(route.table))
    table[0, 0] = len(table)
    route.table = table_attr(table)


def a_route_in_a_circle(module: ModuleOp) -> None:
    route = next(op for op in whole_ops(module) if isinstance(op, place.RouteOp))
    table = np.array(table_of(route.table))
    table[0, 2] = 0
    route.table = table_attr(table)


def a_dead_array(module: ModuleOp) -> None:
    mark_broken(module, "dead_arrays", site_of(module)[:3])


def a_dead_row(module: ModuleOp) -> None:
    mark_broken(module, "dead_rows", site_of(module)[:4])


def a_dead_column(module: ModuleOp) -> None:
    layer, row, col, _, array_col = site_of(module)
    mark_broken(module, "dead_cols", [layer, row, col, array_col])


def a_missing_via(module: ModuleOp) -> None:
    mark_broken(module, "missing_vias", [0, *site_of(module)[1:3]])


def a_missing_via_below(module: ModuleOp) -> None:
    """The way up to a layer goes through all vias below it."""
    sites = np.concatenate([table_of(p.sites) for p in programs_of(module)])  # type: ignore[arg-type]
    above = sites[sites[:, 0] >= 2]
    if len(above):
        row, col = above[0, 1:3].tolist()
    else:
        row, col = site_of(module)[1:3]
        program = programs_of(module)[-1]
        move_to(program, len(table_of(program.tiles)) - 1, [2, row, col, 0, 0], module)
    mark_broken(module, "missing_vias", [1, row, col])


def a_fixed_tile_elsewhere(module: ModuleOp) -> None:
    program = programs_of(module)[-1]
    assert program.sites is not None
    wanted = np.array(table_of(program.sites))
    wanted[:-1] = -1
    wanted[-1, 0] = (wanted[-1, 0] + 1) % 4
    program.fixed = table_attr(wanted)


def a_layer_over_its_power(module: ModuleOp) -> None:
    heat(module, max_layer_power_w=1e-12)


def a_hot_spot(module: ModuleOp) -> None:
    """One tile that takes ten watts."""
    program = programs_of(module)[-1]
    numbers = machine_of(module).heat_numbers
    assert program.energy is not None
    assert numbers is not None
    energy = np.array(table_of(program.energy))
    energy[-1, 0] = 10 * numbers["period_s"]
    program.energy = table_attr(energy)


def a_hot_room(module: ModuleOp) -> None:
    heat(module, ambient_c=84.999)


def a_matrix_without_its_energy(module: ModuleOp) -> None:
    programs_of(module)[-1].energy = None


def a_small_memory(module: ModuleOp) -> None:
    machine = machine_of(module)
    machine.memories = DictionaryAttr({**machine.memories.data, "sram": IntegerAttr(64, 64)})


def a_unit_that_is_not_there(module: ModuleOp) -> None:
    machine = machine_of(module)
    units = {k: v for k, v in machine.units.data.items() if k != "vector"}
    machine.units = DictionaryAttr({**units, "gpu": StringAttr("sram")})


def a_slot_used_twice(module: ModuleOp) -> None:
    first, second = [op for op in whole_ops(module) if is_slot(op)][:2]
    second.properties["slot"] = first.properties["slot"]


def a_read_before_its_write(module: ModuleOp) -> None:
    next(op for op in whole_ops(module) if isinstance(op, place.MoveOp)).detach()


BROKEN: dict[Callable[[ModuleOp], None], str] = {
    two_blocks_on_one_cell: "are booked by",
    a_tile_off_the_grid: "which must be in 0..",
    a_tile_over_the_edge: "leaves the array of",
    a_route_to_nowhere: "must be -1 or a tile in 0..",
    a_route_in_a_circle: "the legs by y_to go in a circle, not to the port",
    a_dead_array: "is in an array that is dead",
    a_dead_row: "lies over a dead row of its array",
    a_dead_column: "lies over a dead column of its array",
    a_missing_via: "through a via that is missing",
    a_missing_via_below: "through a via that is missing",
    a_fixed_tile_elsewhere: "must be at the fixed",
    a_layer_over_its_power: "W of heat, which must be at most 1e-12 W",
    a_hot_spot: "becomes too warm at",
    a_hot_room: "which must be at most 85.0 C",
    a_matrix_without_its_energy: "must say its energy",
    a_small_memory: "of sram, which has 64",
    a_unit_that_is_not_there: "runs on unit 'vector', which the machine lacks",
    a_slot_used_twice: "slots must be in order and used once",
    a_read_before_its_write: "before it is written",
}


def test_what_the_compiler_places_is_accepted(placed: ModuleOp) -> None:
    assert placement_faults(placed) == []
    assert machine_of(placed).heat is not None
    assert programs_of(placed)


@pytest.mark.parametrize("break_rule", BROKEN, ids=lambda f: f.__name__)
def test_one_broken_rule_is_told_and_no_other(
    placed: ModuleOp, break_rule: Callable[[ModuleOp], None]
) -> None:
    module = placed.clone()
    break_rule(module)
    faults = placement_faults(module)
    assert faults
    assert [fault for fault in faults if BROKEN[break_rule] not in fault] == []
    assert placement_faults(placed) == []
