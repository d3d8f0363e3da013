"""HEFT against published figures, and every schedule against the independent checker."""

import numpy as np
import pytest

from semc.compiler.scheduling import heft
from semc.compiler.scheduling.bounds import critical_path_ps, load_bound_ps, lower_bound_ps
from semc.compiler.scheduling.check import check_order, check_schedule, overlaps
from semc.compiler.scheduling.costs import IMPOSSIBLE, Schedule, TaskGraph
from semc.compiler.scheduling.heft import schedule_best, schedule_heft, schedule_on_one
from semc.compiler.scheduling.timing import time_slots

# Figure 2 of Topcuoglu, Hariri, Wu, IEEE TPDS 13(3), 2002.
DURATIONS = [
    [14, 16, 9], [13, 19, 18], [11, 13, 19], [13, 8, 17], [12, 13, 10],
    [13, 16, 9], [7, 15, 11], [5, 11, 14], [18, 12, 20], [21, 7, 16],
]  # fmt: skip
EDGES = [
    (1, 2, 18), (1, 3, 12), (1, 4, 9), (1, 5, 11), (1, 6, 14), (2, 8, 19), (2, 9, 16), (3, 7, 23),
    (4, 8, 27), (4, 9, 23), (5, 9, 13), (6, 8, 15), (7, 10, 17), (8, 10, 11), (9, 10, 13),
]  # fmt: skip
RANKS = [108, 77, 80, 80, 69, 63.333, 42.667, 35.667, 44.333, 14.667]


def make_graph(durations: object, edges: list[tuple[int, int, int]], **stores: object) -> TaskGraph:
    """A graph whose edges cost their amount between any two different devices."""
    duration = np.array(durations, np.int64)
    devices = duration.shape[1]
    table = np.array(edges, np.int64).reshape(-1, 3)
    return TaskGraph(
        duration,
        table[:, 0],
        table[:, 1],
        table[:, 2],
        np.zeros(len(table), np.int64),
        np.zeros((devices, devices), np.int64),
        (1.0 - np.eye(devices))[None],
        **stores,  # type: ignore[arg-type]
    )


def topcuoglu() -> TaskGraph:
    return make_graph(DURATIONS, [(a - 1, b - 1, cost) for a, b, cost in EDGES])


def random_graph(seed: int) -> TaskGraph:
    rng = np.random.default_rng(seed)
    tasks, devices = int(rng.integers(1, 60)), int(rng.integers(1, 6))
    duration = rng.integers(0, 100, (tasks, devices))
    duration[rng.random(duration.shape) < 0.2] = IMPOSSIBLE
    duration[:, 0] = np.maximum(duration[:, 0], 0)
    pairs = np.sort(rng.integers(0, tasks, (3 * tasks, 2)), axis=1)
    pairs = pairs[pairs[:, 0] < pairs[:, 1]]
    units = rng.random((2, devices, devices)) * 3
    latency = rng.integers(0, 20, (devices, devices))
    off = 1 - np.eye(devices, dtype=np.int64)
    return TaskGraph(
        duration,
        pairs[:, 0],
        pairs[:, 1],
        rng.integers(0, 50, len(pairs)),
        rng.integers(0, 2, len(pairs)),
        latency * off,
        units * off,
    )


def test_the_published_example() -> None:
    graph = topcuoglu()
    np.testing.assert_allclose(heft.upward_ranks(graph), RANKS, atol=1e-3)
    schedule = schedule_heft(graph)
    assert schedule.makespan_ps == 80
    assert check_schedule(graph, schedule) == []
    # The optimum is 73: no bound may lie above it.
    assert critical_path_ps(graph) == 41
    assert 91 // 3 <= load_bound_ps(graph) <= lower_bound_ps(graph) <= 73


@pytest.mark.parametrize("seed", range(40))
def test_random_schedules_are_right_and_above_the_bound(seed: int) -> None:
    graph = random_graph(seed)
    plain, best = schedule_heft(graph), schedule_best(graph)
    assert check_schedule(graph, plain) == []
    assert check_schedule(graph, best) == []
    assert lower_bound_ps(graph) <= best.makespan_ps <= plain.makespan_ps


@pytest.mark.parametrize("seed", range(5))
def test_the_compiled_loop_places_like_the_plain_one(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = random_graph(seed)
    plain = schedule_heft(graph)
    monkeypatch.setattr(heft, "COMPILE_FROM_TASKS", 0)
    compiled = schedule_heft(graph)
    np.testing.assert_array_equal(plain.device, compiled.device)
    np.testing.assert_array_equal(plain.start_ps, compiled.start_ps)


def test_a_gap_is_used() -> None:
    # On one device task 2 waits for nothing, but has the lowest rank; it fits before task 1.
    graph = make_graph([[10, IMPOSSIBLE], [IMPOSSIBLE, 50], [60, IMPOSSIBLE], [5, IMPOSSIBLE]],
                       [(0, 1, 100), (1, 2, 100)])  # fmt: skip
    schedule = schedule_heft(graph)
    assert schedule.start_ps[3] == 10
    assert check_schedule(graph, schedule) == []


def test_one_device_is_preferred_when_transfers_do_not_pay() -> None:
    # HEFT alone sends task 0 to the faster device and pays for the way back.
    graph = make_graph([[10, 9], [10, IMPOSSIBLE]], [(0, 1, 1000)])
    assert schedule_heft(graph).makespan_ps == 1019
    assert schedule_best(graph).makespan_ps == 20
    assert schedule_best(graph).device.tolist() == [0, 0]


def test_tasks_that_a_device_cannot_run_go_elsewhere() -> None:
    graph = make_graph([[10, 10], [10, IMPOSSIBLE]], [(0, 1, 5)])
    assert schedule_on_one(graph, 1).device.tolist() == [1, 0]
    with pytest.raises(ValueError, match="no device can run task 0"):
        schedule_heft(make_graph([[IMPOSSIBLE]], []))
    with pytest.raises(ValueError, match="smaller task number"):
        schedule_heft(make_graph([[1], [1]], [(1, 0, 1)]))


def test_memory_sends_a_stored_operand_to_the_next_device() -> None:
    graph = make_graph(
        [[1, 100], [1, 100], [1, 100]],
        [],
        store=np.array([0, 0, 1]),
        store_bytes=np.array([[60, 60], [60, 60]]),
        capacity_bytes=np.array([100, 100]),
    )
    schedule = schedule_heft(graph)
    assert schedule.device.tolist() == [0, 0, 1]
    assert check_schedule(graph, schedule) == []
    moved = Schedule(np.zeros(3, np.int64), *np.array([[0, 1, 2], [1, 2, 3]]))
    assert check_schedule(graph, moved) == [
        "device 0 must hold 120 bytes of stationary operands, it has 100"
    ]
    with pytest.raises(ValueError, match="no device can take task"):
        schedule_heft(
            make_graph([[1]], [], store=np.array([0]), store_bytes=np.array([[200]]),
                       capacity_bytes=np.array([100]))
        )  # fmt: skip


@pytest.mark.parametrize(
    ("field", "value", "fault"),
    [
        ("start_ps", 3, "task 9 takes"),
        ("device", 2, "device 2, it needs 16"),
        ("device", 7, "task 9: device 7"),
    ],
)
def test_the_checker_finds_what_is_wrong(field: str, value: int, fault: str) -> None:
    graph = topcuoglu()
    schedule = schedule_heft(graph)
    getattr(schedule, field)[9] = value
    assert any(fault in text for text in check_schedule(graph, schedule))


def test_the_checker_finds_early_starts_and_overlaps() -> None:
    graph = make_graph([[10, 10], [10, 10]], [(0, 1, 5)])
    early = Schedule(*np.array([[0, 1], [0, 10], [10, 20]]))
    assert "arrives at 15 ps" in check_schedule(graph, early)[0]
    both = Schedule(*np.array([[0, 0], [0, 5], [10, 15]]))
    assert any("used twice" in fault for fault in check_schedule(graph, both))
    empty = np.array([0, 5]), np.array([10, 5])
    assert overlaps(np.zeros(2, np.int64), *empty) == []  # an empty interval takes no time
    assert check_order(*empty, [(1, 0)]) == ["slot 1 starts at 5 ps, before slot 0 ends at 10 ps"]


def test_slots_wait_for_resources_and_for_each_other() -> None:
    start, finish = time_slots([10, 20, 5, 1], [[0], [1], [0, 1], [2]], [[], [0], [], [2]])
    assert start.tolist() == [0, 10, 30, 35]
    assert finish.tolist() == [10, 30, 35, 36]
