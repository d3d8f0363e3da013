"""The discrete-event core: streams, waits, resources, and what always holds of a timeline."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semc.errors import ProgramError
from semc.runtime.events import Task, run


def test_a_stream_runs_its_tasks_one_after_another() -> None:
    line = run([Task("a", 2.0), Task("a", 3.0), Task("b", 1.0)])
    assert line.start_s.tolist() == [0, 2, 0]
    assert line.makespan_s == 5


def test_a_task_waits_for_other_streams() -> None:
    line = run([Task("a", 2.0), Task("b", 1.0, waits=(0,))])
    assert line.start_s.tolist() == [0, 2]


def test_a_resource_serves_one_task_at_a_time() -> None:
    line = run([Task("a", 2.0, resources=("link",)), Task("b", 1.0, resources=("link",))])
    assert line.start_s.tolist() == [0, 2]


def test_tasks_that_wait_for_each_other_are_an_error() -> None:
    with pytest.raises(ProgramError, match="wait for each other"):
        run([Task("a", 1.0, waits=(1,)), Task("b", 1.0, waits=(0,))])


TASKS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.sets(st.integers(0, 30), max_size=3)),
    max_size=30,
)


@given(TASKS)
def test_busy_never_exceeds_the_makespan_and_orders_hold(
    given_tasks: list[tuple[str, int, set[int]]],
) -> None:
    tasks = [
        Task(stream, float(duration), tuple(w for w in waits if w < i), ("r",) if i % 3 else ())
        for i, (stream, duration, waits) in enumerate(given_tasks)
    ]
    line = run(tasks)
    assert all(busy <= line.makespan_s + 1e-9 for busy in line.busy_s().values())
    for i, task in enumerate(tasks):
        assert line.finish_s[i] == line.start_s[i] + task.duration_s
        assert all(line.finish_s[w] <= line.start_s[i] for w in task.waits)
        for j in range(i):
            if tasks[j].stream == task.stream:
                assert line.finish_s[j] <= line.start_s[i]
            if tasks[j].resources and task.resources:
                assert line.finish_s[j] <= line.start_s[i] or line.finish_s[i] <= line.start_s[j]
