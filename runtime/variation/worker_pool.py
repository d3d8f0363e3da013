"""Work in blocks on several processes, through the standard ``concurrent.futures`` interface.

A worker that dies (for want of memory, say) breaks a process pool as a whole; its blocks are then
given to a new pool. Results come in the order of the blocks, so they do not depend on how many
workers there were or who was first. Workers are started afresh (``spawn``: no thread or lock of
this process is inherited), with one thread each for BLAS, OpenMP and numba, as there is a worker
for every core; the environment variables that say so are read when those libraries are loaded.
"""

import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from ...errors import WorkerError

Block = TypeVar("Block")
Result = TypeVar("Result")

#: Pools that may break one after another, with no block done between, before we give up.
TRIES = 3
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_blocks(
    work: Callable[[Block], Result],
    blocks: Sequence[Block],
    jobs: int,
    done: Callable[[int], None],
) -> list[Result]:
    """``[work(block) for block in blocks]`` on ``jobs`` processes (1: in this one).

    ``work`` is pickled once, into a file that each worker reads; blocks and results one by one.
    ``done`` is called with the number of each block when its result is there. What ``work`` raises
    is raised here.

    Raises WorkerError when workers die time after time.
    """
    jobs = min(jobs, len(blocks))
    results: dict[int, Result] = {}
    if jobs <= 1:
        for number, block in enumerate(blocks):
            results[number] = work(block)
            done(number)
        return [results[number] for number in range(len(blocks))]
    tries = 0
    with TemporaryDirectory(prefix="semc-") as folder:
        path = Path(folder) / "work.pickle"
        path.write_bytes(pickle.dumps(work))
        while len(results) < len(blocks):
            before = len(results)
            missing = [number for number in range(len(blocks)) if number not in results]
            try:
                with _processes(path, min(jobs, len(missing))) as pool:
                    for number, result in _completed(pool, blocks, missing):
                        results[number] = result
                        done(number)
            except BrokenProcessPool as error:
                tries = tries + 1 if len(results) == before else 1
                if tries == TRIES:
                    raise WorkerError(
                        f"worker processes must live, they died {TRIES} times before a result",
                        help="memory may be short: use fewer (--jobs); a script must ask for them "
                        "under `if __name__ == '__main__':`",
                    ) from error
    return [results[number] for number in range(len(blocks))]


def _completed(
    pool: Executor, blocks: Sequence[Any], numbers: Sequence[int]
) -> Iterator[tuple[int, Any]]:
    """Number and result of each block, as they come."""
    with _quiet_start():
        waiting: dict[Future[Any], int] = {
            pool.submit(_call, blocks[number]): number for number in numbers
        }
    while waiting:
        ready, _ = wait(waiting, return_when=FIRST_COMPLETED)
        for future in sorted(ready, key=waiting.__getitem__):
            yield waiting.pop(future), future.result()


class _SpawnContext(SpawnContext):
    """Starts processes afresh, and knows which it has started."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[SpawnProcess] = []

    def Process(self, *args: Any, **options: Any) -> SpawnProcess:  # type: ignore[override]
        self.started.append(SpawnProcess(*args, **options))
        return self.started[-1]


@contextmanager
def _processes(work: Path, jobs: int) -> Iterator[Executor]:
    """A pool that ends with the block; whatever its workers do when the block raises."""
    context = _SpawnContext()
    pool = ProcessPoolExecutor(jobs, context, initializer=_install, initargs=(work,))
    try:
        yield pool
    except BaseException:
        pool.shutdown(wait=False, cancel_futures=True)
        for process in context.started:
            if process.pid is not None:
                process.terminate()
        raise
    pool.shutdown()


@contextmanager
def _quiet_start() -> Iterator[None]:
    """What processes started within inherit: one thread a library, and no interrupt of their own.

    Ctrl-C goes to every process of a terminal; only this one is to answer it.
    """
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        with _interrupts_later(), _interrupts_blocked():
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_blocked() -> Iterator[None]:
    """Processes started within get no SIGINT, where the system has signal masks."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


@contextmanager
def _interrupts_later() -> Iterator[None]:
    """An interrupt that comes within (through another thread) is raised when the block has ended,
    so that no process is left half started."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.SIG_DFL)
    if came:
        raise KeyboardInterrupt


_work: Callable[[Any], Any] | None = None


def _install(path: Path) -> None:
    """Keep the work in this worker for all its blocks."""
    global _work
    _work = pickle.loads(path.read_bytes())


def _call(block: Any) -> Any:
    assert _work is not None  # a worker starts with _install
    return _work(block)
