"""Trials: one program on the same inputs, with other chips, other reads or other effects."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from ...backends.memcap.decode import MemcapProgram, decode_program
from ...backends.program import Program, load_program
from ..compare import compare
from ..execute.memcap import MemcapExecutor, Mode
from ..scoring import output_accuracy, stack_outputs
from .worker_pool import map_blocks

Arrays = Mapping[str, np.ndarray]

#: What a trial measures: name, and whether the larger value is the worse one.
METRICS = {"accuracy": False, "sqnr_db": False, "max_rel_error": True}


@dataclass(frozen=True, slots=True)
class Chip:
    """A chip under test: its ``seed``, and the effects that are ``off`` on it.

    ``off`` of None leaves to the target which effects are on; ``mode`` is ``noisy`` or, for a chip
    without any, ``quantized``.
    """

    seed: int
    off: tuple[str, ...] | None = None
    mode: Mode = "noisy"


@dataclass(frozen=True, slots=True)
class Block:
    """The trials of one chip: its arrays are prepared once and read with each of the seeds."""

    chip: Chip
    read_seeds: tuple[int, ...] = (0,)


@dataclass(frozen=True, slots=True)
class Trial:
    """What one run of all samples showed; ``accuracy`` is None without labels.

    ``sqnr_db`` and ``max_rel_error`` compare with the expected outputs, as in ``Difference``: the
    worst of all outputs.
    """

    seed: int
    read_seed: int
    sqnr_db: float
    max_rel_error: float
    accuracy: float | None

    def as_dict(self) -> dict[str, Any]:
        return {
            "seed": self.seed,
            "read_seed": self.read_seed,
            "accuracy": self.accuracy,
            "sqnr_db": self.sqnr_db,
            "max_rel_error": self.max_rel_error,
        }


@dataclass(frozen=True, eq=False)
class Bench:
    """A program and what it is tried on: samples, expected outputs and the labels, if any."""

    program: Program
    samples: Sequence[Arrays]
    expected: Arrays | None
    """Outputs to compare with; None: those of exact mode."""
    labels: np.ndarray | None

    def trials(
        self, blocks: Sequence[Block], jobs: int, progress: Callable[[int, int], None]
    ) -> list[list[Trial]]:
        """The trials of each block, in order, on ``jobs`` processes.

        ``progress`` is told how many trials are done, of how many.
        """
        total, ready = sum(len(block.read_seeds) for block in blocks), 0
        progress(0, total)

        def done(number: int) -> None:
            nonlocal ready
            ready += len(blocks[number].read_seeds)
            progress(ready, total)

        decoded = decode_program(self.program)
        expected = self.expected
        if expected is None:
            expected = _outputs(MemcapExecutor(decoded), self.samples)
        judge = _Judge(self.samples, expected, self.labels)
        if min(jobs, len(blocks)) <= 1:
            return map_blocks(lambda block: judge.trials(decoded, block), blocks, 1, done)
        with program_file(self.program) as path:
            return map_blocks(_Worker(path, judge), blocks, jobs, done)


@dataclass(frozen=True, slots=True, eq=False)
class _Judge:
    """What the runs of all chips get, and are held against."""

    samples: Sequence[Arrays]
    expected: Arrays
    labels: np.ndarray | None

    def trials(self, program: MemcapProgram, block: Block) -> list[Trial]:
        chip = block.chip
        if chip.off is not None:
            program = with_effects_off(program, chip.off)
        executor = MemcapExecutor(program, chip.mode, chip.seed)
        return [self._trial(executor, read_seed) for read_seed in block.read_seeds]

    def _trial(self, executor: MemcapExecutor, read_seed: int) -> Trial:
        executor.restart(read_seed)
        outputs = _outputs(executor, self.samples)
        differences = [compare(found, self.expected[name]) for name, found in outputs.items()]
        return Trial(
            executor.seed,
            read_seed,
            min(difference.sqnr_db for difference in differences),
            max(difference.max_rel_error for difference in differences),
            None if self.labels is None else output_accuracy(outputs, self.labels),
        )


@dataclass(slots=True, eq=False)
class _Worker:
    """A judge in a worker process, where the program is read from its file once."""

    path: str
    judge: _Judge
    program: MemcapProgram | None = None

    def __call__(self, block: Block) -> list[Trial]:
        if self.program is None:
            self.program = decode_program(load_program(self.path))
        return self.judge.trials(self.program, block)


def _outputs(executor: MemcapExecutor, samples: Sequence[Arrays]) -> dict[str, np.ndarray]:
    with np.errstate(all="ignore"):  # inputs may hold infinities: those of the model, not ours
        return stack_outputs([executor.run(sample) for sample in samples])


def with_effects_off(program: MemcapProgram, off: Sequence[str]) -> MemcapProgram:
    """``program`` on a target on which exactly the effects ``off`` are off."""
    noise = program.target.noise.model_copy(update={"off": tuple(off)})
    return replace(program, target=program.target.model_copy(update={"noise": noise}))


@contextmanager
def program_file(program: Program) -> Iterator[str]:
    """A file that holds ``program``: its own, or one for the time of the block."""
    if program.path is not None:
        yield program.path
        return
    with TemporaryDirectory(prefix="semc-") as folder:
        path = str(Path(folder) / "program.semc")
        program.save(path)
        yield path
