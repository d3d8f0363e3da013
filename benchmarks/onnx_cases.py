"""The cases of ONNX's own backend tests, run one by one over ``semc.onnx_backend``.

The verdict is onnx's: its runner's comparison of shapes, dtypes and values with each case's own
tolerances. Nothing is skipped; whatever is raised is a failure.
"""

import multiprocessing
import multiprocessing.connection
import os
import re
import tomllib
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from glob import glob
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

KINDS = ("node", "simple", "real", "pytorch-converted", "pytorch-operator")
KNOWN = Path(__file__).resolve().parent.parent / "tests" / "conformance" / "known_failures.toml"
#: A case that takes longer than this counts as hanging.
LIMIT_S = 60.0


@dataclass(frozen=True)
class Case:
    """One test of the suite: a model, and its inputs with the outputs they must give."""

    name: str
    kind: str
    model: onnx.ModelProto
    data: Any = field(repr=False)
    rtol: float = 1e-3
    atol: float = 1e-7

    @property
    def operator(self) -> str:
        """The operator under test, by the name of the case's model; "(model)" for larger ones."""
        base = _unexpanded(self.name)
        nodes = _models().get(base, self.model).graph.node
        kinds = {n.op_type for n in nodes} - {"Constant", "ConstantOfShape", "Identity"}
        if self.kind == "node":
            return _qualified(nodes[0])
        return next(iter(kinds)) if len(kinds) == 1 else "(model)"


@dataclass(frozen=True)
class Verdict:
    """What became of a case.

    ``host`` has (operator, reason) of what the host runs; ``chip_ops`` tells whether anything is
    left for the chip; ``computes`` is false where the program only moves data.
    """

    name: str
    passed: bool
    why: str = ""
    host: tuple[tuple[str, str], ...] = ()
    chip_ops: bool = False
    computes: bool = True


#: Runs a prepared model: inputs in, outputs out, both in the model's order.
Run = Callable[[Sequence[Any]], Sequence[Any]]
Prepare = Callable[[onnx.ModelProto], Run]
Judge = Callable[[Case], Verdict]


def load_cases() -> list[Case]:
    """Every case that the installed onnx has, by name."""
    from onnx.backend.test.loader import load_model_tests

    cases = []
    for kind in KINDS:
        with warnings.catch_warnings(action="ignore"):  # of onnx, while it makes its data
            tests = load_model_tests(kind=kind)
        for test in tests:
            model, data = test.model, test
            if model is None:
                model = onnx.load(_light(test) or Path(test.model_dir) / "model.onnx")
            cases.append(Case(test.name, kind, model, data, test.rtol, test.atol))
    return sorted(cases, key=lambda case: case.name)


def run_case(case: Case, target: str | None = None) -> Verdict:
    """Compile, save, load and simulate one case, and compare."""
    from semc.onnx_backend import Backend

    facts: dict[str, Any] = {}

    def prepare(model: onnx.ModelProto) -> Run:
        prepared = Backend.prepare(model, target=target)

        def run(inputs: Sequence[Any]) -> Sequence[Any]:
            outputs = prepared.run(inputs)
            assert prepared.program is not None
            facts.update(_facts(prepared.program.manifest["stats"]))
            return outputs

        return run

    return replace(run_case_by(prepare, case), **facts)


def run_case_by(prepare: Prepare, case: Case) -> Verdict:
    """Run one case by whatever ``prepare`` makes of its model, and compare."""
    from onnx.backend.test.runner import Runner

    try:
        run = prepare(case.model)
        sets = list(_data_sets(case))
        assert sets, "a case must have data"
        for inputs, expected in sets:
            outputs = list(run(inputs))
            Runner.assert_similar_outputs(expected, outputs, rtol=case.rtol, atol=case.atol)
    except Exception as error:  # a case fails by whatever is raised
        why = f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
        return Verdict(case.name, False, why)
    return Verdict(case.name, True)


def _facts(stats: dict[str, Any]) -> dict[str, Any]:
    return {
        "host": tuple((entry["op"], entry["reason"]) for entry in stats["host_ops"]),
        "chip_ops": stats["on_chip_ops_share"] > 0,
        "computes": bool(stats["work"]["macs"] or stats["work"]["elementwise"]),
    }


def run_cases(cases: list[Case], jobs: int, judge: Judge = run_case) -> Iterator[Verdict]:
    """Each case in one of ``jobs`` processes; one that dies or hangs costs one case."""
    context = multiprocessing.get_context("fork")
    waiting = list(enumerate(cases))[::-1]
    running: dict[Any, tuple[Any, list[int]]] = {}

    def start() -> None:
        # A few cases a process: forking is cheap, but first uses of libraries are not.
        batch = [waiting.pop()[0] for _ in range(min(50, len(waiting)))]
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=_work, args=(sender, cases, batch, judge), daemon=True)
        process.start()
        sender.close()
        running[receiver] = (process, batch)

    while waiting or running:
        while waiting and len(running) < jobs:
            start()
        ready = multiprocessing.connection.wait(list(running), timeout=LIMIT_S)
        for receiver in ready or list(running):
            process, batch = running[receiver]
            try:
                if not ready:
                    raise EOFError
                verdict = receiver.recv()
                batch.pop(0)
                yield verdict
            except EOFError:
                process.kill()
                process.join()
                del running[receiver]
                if batch:
                    how = f"exit code {process.exitcode}" if ready else f"more than {LIMIT_S:g} s"
                    yield Verdict(cases[batch.pop(0)].name, False, how)
                    waiting += [(index, cases[index]) for index in reversed(batch)]


def known_failures() -> tuple[dict[str, str], dict[str, str]]:
    """(fails, undecided): cases that must fail, and those that may do either, with the reasons."""
    document = tomllib.loads(KNOWN.read_text(encoding="utf-8"))
    return document["fails"], document["undecided"]


def surprises(verdicts: Iterable[Verdict]) -> list[str]:
    """Lines about cases that fail without being known for it, or pass although they are."""
    fails, undecided = known_failures()
    lines = []
    for verdict in verdicts:
        if verdict.name in undecided or verdict.passed != (verdict.name in fails):
            continue
        why = f"passes, but is known to fail: {fails[verdict.name]}" if verdict.passed else ""
        lines.append(f"{verdict.name}: {why or verdict.why}")
    return lines


def _work(sender: Any, cases: list[Case], batch: list[int], judge: Judge) -> None:
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 2)
    warnings.simplefilter("ignore")  # the reference evaluator divides by zero and overflows
    for index in batch:
        sender.send(judge(cases[index]))


def _qualified(node: onnx.NodeProto) -> str:
    own = node.domain in ("", "ai.onnx")
    return node.op_type if own else f"{node.domain}.{node.op_type}"


def _unexpanded(name: str) -> str:
    return re.sub(r"_expanded(_ver\d+|_function.*)?$", "", name)


@cache
def _models() -> dict[str, onnx.ModelProto]:
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings(action="ignore"):
        tests = load_model_tests(kind="node")
    return {test.name: test.model for test in tests if test.model is not None}


def _light(test: Any) -> Path | None:
    """The file of a model whose weights were replaced by constants, which onnx ships."""
    marker = "onnx/backend/test/data/light/"
    if not test.url or marker not in test.url:
        return None
    folder = Path(onnx.__file__).parent / "backend" / "test" / "data" / "light"
    return folder / test.url.split(marker)[1]


def _data_sets(case: Case) -> Iterator[tuple[list[Any], list[Any]]]:
    test = case.data
    if test.data_sets is not None:
        for inputs, outputs in test.data_sets:
            yield [_value(x) for x in inputs], [_value(y) for y in outputs]
        return
    light = _light(test)
    if light is not None:
        yield _light_inputs(case.model), _light_outputs(case.model, light)
        return
    graph = case.model.graph
    for folder in sorted(glob(f"{test.model_dir}/test_data_set*")):
        yield _read(folder, "input", graph.input), _read(folder, "output", graph.output)


def _value(x: Any) -> Any:
    return numpy_helper.to_array(x) if isinstance(x, onnx.TensorProto) else x


def _read(folder: str, stem: str, ports: Any) -> list[Any]:
    values = []
    for index, _ in enumerate(glob(f"{folder}/{stem}_*.pb")):
        data, kind = Path(folder, f"{stem}_{index}.pb").read_bytes(), ports[index].type
        match kind.WhichOneof("value"):
            case "sequence_type":
                values.append(numpy_helper.to_list(onnx.SequenceProto.FromString(data)))
            case "optional_type":
                values.append(numpy_helper.to_optional(onnx.OptionalProto.FromString(data)))
            case _:
                values.append(numpy_helper.to_array(onnx.TensorProto.FromString(data)))
    return values


def _light_inputs(model: onnx.ModelProto) -> list[np.ndarray]:
    """What onnx's runner feeds its light models: a ramp from 0 to 1."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = []
    for value in model.graph.input:
        if value.name not in weights:
            shape = tuple(max(d.dim_value, 1) for d in value.type.tensor_type.shape.dim)
            size = int(np.prod(shape))
            inputs.append((np.arange(size) / size).reshape(shape).astype(np.float32))
    return inputs


def _light_outputs(model: onnx.ModelProto, path: Path) -> list[np.ndarray]:
    files = [f"{path.with_suffix('')}_output_{i}.pb" for i in range(len(model.graph.output))]
    return [numpy_helper.to_array(onnx.TensorProto.FromString(Path(f).read_bytes())) for f in files]
