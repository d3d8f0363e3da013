"""The thermal model of the stack against closed forms and a dense solution of its network."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from semc.backends.targets.thermal import ThermalNetwork, stack_temperature_c, thermal_network

from .changed_target import changed

NETWORK = ThermalNetwork(
    ambient_c=20.0,
    sink=0.5,
    attach=0.25,
    between=0.125,
    die_rows=2.0,
    die_cols=3.0,
    layer_rows=0.01,
    layer_cols=0.02,
)


def dense_temperature_c(
    network: ThermalNetwork, layer_w: np.ndarray, die_w: np.ndarray
) -> np.ndarray:
    """Kirchhoff's equations of the network, written out and solved."""
    power = np.concatenate([die_w[None], layer_w])
    index = np.arange(power.size).reshape(power.shape)
    matrix = np.zeros((power.size, power.size))

    def join(a: np.ndarray, b: np.ndarray, conductance: float) -> None:
        for i, j in zip(a.ravel(), b.ravel(), strict=True):
            matrix[[i, j], [i, j]] += conductance
            matrix[[i, j], [j, i]] -= conductance

    join(index[0, :-1], index[0, 1:], network.die_rows)
    join(index[0, :, :-1], index[0, :, 1:], network.die_cols)
    join(index[1:, :-1], index[1:, 1:], network.layer_rows)
    join(index[1:, :, :-1], index[1:, :, 1:], network.layer_cols)
    join(index[0], index[1], network.attach)
    join(index[1:-1], index[2:], network.between)
    matrix[index[0].ravel(), index[0].ravel()] += network.sink
    return network.ambient_c + np.linalg.solve(matrix, power.ravel()).reshape(power.shape)


@given(
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 6)).flatmap(
        lambda shape: arrays(np.float64, (shape[0] + 1, *shape[1:]), elements=st.floats(0, 1))
    )
)
@settings(deadline=None, max_examples=30)
def test_the_fast_solution_is_the_dense_one(power_w: np.ndarray) -> None:
    found = stack_temperature_c(NETWORK, power_w[1:], power_w[0])
    expected = dense_temperature_c(NETWORK, power_w[1:], power_w[0])
    np.testing.assert_allclose(found, expected, rtol=1e-11)
    carried_w = NETWORK.sink * (found[0] - NETWORK.ambient_c).sum()
    assert carried_w == pytest.approx(power_w.sum())


def test_even_heat_climbs_a_ladder() -> None:
    """No heat flows sideways: each level adds what the levels above it send through its path."""
    found = stack_temperature_c(NETWORK, np.full((3, 4, 5), 0.1), np.full((4, 5), 0.2))
    steps = np.array([0.5 / 0.5, 0.3 / 0.25, 0.2 / 0.125, 0.1 / 0.125])
    expected = 20 + np.cumsum(steps)[:, None, None] + np.zeros((4, 4, 5))
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_conductances_of_a_target_by_hand() -> None:
    """The package, the die and half a layer in series, in K/W of the whole die."""
    target = changed(
        "memcap-demo",
        stack={"layer_pitch_um": 2.0},
        thermal={"package_k_per_w": 40.0, "die_um": 300.0, "layer_vertical_w_per_m_k": 1.5},
    )
    side_m = 276e-6
    area_m2 = 16 * side_m**2
    layer_w = np.zeros((4, 4, 4))
    layer_w[1] = 0.25 / 16
    network = thermal_network(target)
    found = stack_temperature_c(network, layer_w, np.zeros((4, 4)))
    die_k_per_w = 300e-6 / (130 * area_m2)
    layers_k_per_w = 3e-6 / (1.5 * area_m2)
    expected = 25 + 0.25 * (40 + die_k_per_w + layers_k_per_w)
    np.testing.assert_allclose(found[2:], expected, rtol=1e-12)
    assert network.die_cols == pytest.approx(130 * 300e-6)
    assert network.layer_rows == pytest.approx(2.25 * 2e-6)


def test_a_wide_site_conducts_better_between_rows() -> None:
    network = thermal_network(changed("memcap-demo", array={"cols": 256}))
    width, height = 256 * 2 + 20, 128 * 2 + 20
    assert network.die_rows / network.die_cols == pytest.approx((width / height) ** 2)


def test_a_symmetric_load_makes_symmetric_heat() -> None:
    layer_w = np.zeros((2, 5, 6))
    layer_w[1, 2, [1, 4]] = 1.0
    found = stack_temperature_c(NETWORK, layer_w, np.zeros((5, 6)))
    np.testing.assert_allclose(found, found[:, ::-1], rtol=1e-12)
    np.testing.assert_allclose(found, found[:, :, ::-1], rtol=1e-12)
    assert found.argmax() in np.flatnonzero(layer_w.ravel()) + 30


def test_heat_is_linear_and_reciprocal() -> None:
    """Heat at a warms b as much as heat at b warms a, and effects add up."""
    places = [(0, 0, 1), (2, 3, 4)]
    rises = []
    for place in places:
        power_w = np.zeros((3, 5, 6))
        power_w[place] = 1.0
        rises.append(stack_temperature_c(NETWORK, power_w, np.zeros((5, 6))) - 20)
    (a, b) = ((place[0] + 1, *place[1:]) for place in places)
    assert rises[0][b] == pytest.approx(rises[1][a], rel=1e-9)
    power_w = np.zeros((3, 5, 6))
    power_w[places[0]], power_w[places[1]] = 2.0, 3.0
    both = stack_temperature_c(NETWORK, power_w, np.zeros((5, 6)))
    np.testing.assert_allclose(both, 20 + 2 * rises[0] + 3 * rises[1], rtol=1e-12)


def test_a_finer_grid_converges() -> None:
    """A cosine of heat on a plate: sink per area s and sheet conductance k give q / (s + k q^2).

    The volumes' own eigenvalue nears that of the plate with the square of their size.
    """
    errors = []
    for cells in (8, 16, 32):
        size = 1.0 / cells
        network = replace(
            NETWORK, sink=5.0 * size**2, attach=1e-9, die_rows=0.3, die_cols=0.3, layer_cols=0.0
        )
        middle = (np.arange(cells) + 0.5) * size
        heat_w = np.cos(np.pi * middle) * np.ones((cells, 1)) * size**2
        found = stack_temperature_c(network, np.zeros((1, cells, cells)), heat_w)[0] - 20
        expected = np.cos(np.pi * middle) / (5.0 + 0.3 * np.pi**2)
        errors.append(np.abs(found - expected).max())
    assert errors[0] / errors[1] == pytest.approx(4, rel=0.1)
    assert errors[1] / errors[2] == pytest.approx(4, rel=0.1)
