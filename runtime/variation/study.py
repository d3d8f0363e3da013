"""What is asked about the variation of a program, and who answers it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ...errors import InputError

if TYPE_CHECKING:
    from ...backends.memcap.decode import MemcapProgram
    from ...backends.pal.tasks import MeshProgram
    from .ablation import Ablation
    from .monte_carlo import MonteCarlo
    from .noise_budget import InputSamples, MatrixBudget
    from .trials import Bench

#: Chips of an ablation when no number is given.
ABLATION_CHIPS = 3
#: Work for which workers (half a second to start one) pay.
POOL_PAYS_S = 2.0


def _silent(_what: str, _done: int, _total: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Study:
    """Questions about a program in noisy mode.

    ``runs`` chips are read ``reads`` times each (0: no Monte Carlo); ``ablation`` uses as many
    chips, or 3. ``jobs`` is the number of processes; None takes all cores when the work is worth
    it. ``progress`` is told what is done, how much of it, and how much there is.
    """

    runs: int = 0
    reads: int = 2
    ablation: bool = False
    noise_budget: bool = False
    jobs: int | None = None
    progress: Callable[[str, int, int], None] = _silent

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        return bool(self.runs or self.ablation or self.noise_budget)

    def check(self, mode: str, machine: str, inputs: object) -> None:
        """Raise InputError where the questions make no sense."""
        if inputs is None:
            raise InputError("device variation needs inputs on which to run")
        if machine != "memcap":
            raise InputError(
                f"device variation is simulated on memcap programs only, this is one of {machine}"
            )
        if mode != "noisy":
            raise InputError(f"device variation needs mode 'noisy', got {mode!r}")
        jobs = 1 if self.jobs is None else self.jobs
        least = {"runs": (self.runs, 0), "reads": (self.reads, 2), "jobs": (jobs, 1)}
        for name, (value, bound) in least.items():
            if value < bound:
                raise InputError(f"{name} must be at least {bound}, got {value}")

    def processes(self, work_s: float) -> int:
        """Processes for work of ``work_s`` seconds on one core."""
        if self.jobs is not None:
            return self.jobs
        from .worker_pool import available_cores

        return available_cores() if work_s > POOL_PAYS_S else 1


@dataclass(frozen=True, slots=True)
class Findings:
    """The answers; None where nothing was asked."""

    runs: "MonteCarlo | None" = None
    ablation: "Ablation | None" = None
    noise_budget: "list[MatrixBudget] | None" = None

    def as_dict(self) -> dict[str, Any]:
        """Keys of ``semc simulate --json``: ``runs``, ``ablation``, ``noise_budget``."""
        found: dict[str, Any] = {}
        if self.runs is not None:
            found["runs"] = self.runs.as_dict()
        if self.ablation is not None:
            found["ablation"] = self.ablation.as_dict()
        if self.noise_budget is not None:
            found["noise_budget"] = [budget.as_dict() for budget in self.noise_budget]
        return found


def run_study(
    study: Study,
    program: "MemcapProgram | MeshProgram",
    bench: "Bench",
    observed: "InputSamples | None",
    seed: int,
    run_s: float,
) -> Findings:
    """Answer ``study`` on the chip of ``seed`` and those after it.

    ``observed`` are the inputs of a run, for the noise budget; that run took ``run_s``.
    """
    from ...backends.memcap.decode import MemcapProgram
    from .ablation import ablate, effects_on
    from .monte_carlo import monte_carlo
    from .noise_budget import noise_budget

    assert isinstance(program, MemcapProgram)  # the study was checked

    def progress(what: str) -> Callable[[int, int], None]:
        return lambda done, total: study.progress(what, done, total)

    runs, ablation, budget = None, None, None
    if study.runs:
        jobs = study.processes(run_s * study.runs * study.reads)
        runs = monte_carlo(
            bench,
            chips=study.runs,
            reads=study.reads,
            seed=seed,
            jobs=jobs,
            progress=progress("runs"),
        )
    if study.ablation:
        chips = study.runs or ABLATION_CHIPS
        jobs = study.processes(run_s * chips * 2 * len(effects_on(program.target)))
        ablation = ablate(
            bench,
            program.target,
            chips=chips,
            seed=seed,
            jobs=jobs,
            progress=progress("ablation"),
        )
    if observed is not None:
        jobs = study.processes(run_s * len(effects_on(program.target)))
        budget = noise_budget(
            program, observed.inputs, seed=seed, jobs=jobs, progress=progress("noise budget")
        )
    return Findings(runs, ablation, budget)
