"""The pass registry, the pipeline language, parsing with positions and verification."""

import dataclasses
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import FusedLoc, ModuleOp, NameLoc, NoneAttr, StringAttr
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from semc.compiler.context import CompilerContext, new_context, weights_of
from semc.compiler.diagnostics import location_text, single_line, where_of
from semc.compiler.opt_main import OptOptions, print_module, run_opt
from semc.compiler.parse import parse_module, split_input
from semc.compiler.pipeline import PASSES, PIPELINES, PipelineError, parse_pipeline, run_passes
from semc.compiler.verify import verify_module
from semc.compiler.weights import WeightStore
from semc.dialects import LEVELS, level_factories
from semc.errors import IRError

SUM = (
    "func.func @sum(%a: f32) -> f32 {\n  %0 = arith.addf %a, %a : f32\n  func.return %0 : f32\n}\n"
)


def parse(text: str) -> ModuleOp:
    return parse_module(text, new_context(), "file.mlir")


@pytest.mark.parametrize("name", sorted(PASSES))
def test_registered_pass_is_a_frozen_dataclass_of_its_name(name: str) -> None:
    info = PASSES[name]
    found = info.load()
    assert found.name == name
    assert dataclasses.is_dataclass(found)
    assert info.summary
    assert "\n" not in info.summary


@pytest.mark.parametrize("name", sorted(PIPELINES))
def test_named_pipeline_parses_with_its_defaults(name: str) -> None:
    assert parse_pipeline(name)
    assert PIPELINES[name].summary


def test_pipeline_is_parsed_in_order() -> None:
    assert [step.name for step in parse_pipeline("dce,cse,dce")] == ["dce", "cse", "dce"]
    assert parse_pipeline("") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("csee", "there is no pass 'csee' (help: did you mean cse?)"),
        ("quite-another-thing", "`semc passes` lists all"),
        ("cse{", "a pipeline must read PASS,PASS{option=value}"),
        ("cse,,dce", "a pipeline must read"),
        ("cse{depth=1}", "pass cse: Provided arguments"),
        ("§", "a pipeline must read"),
    ],
)
def test_bad_pipeline_is_a_usage_error(text: str, message: str) -> None:
    with pytest.raises(PipelineError) as caught:
        parse_pipeline(text)
    assert message in str(caught.value)
    assert caught.value.exit_code == 2


def test_named_pipelines_are_the_recipe_of_their_target() -> None:
    chip = [step.name for step in parse_pipeline("tile-to-place{target=memcap-phone},dce")]
    mesh = [step.name for step in parse_pipeline("tile-to-place{target=mesh-small}")]
    placed = ["convert-tile-to-place", "estimate-heat", "check-placement"]
    assert chip == [
        "use-channels-last",
        "fuse-windows",
        "stream-rows",
        "replicate-matrices",
        "place-tiles",
        *placed,
        "dce",
    ]
    assert mesh == ["assign-devices", "convert-tile-to-place", "check-placement"]
    assert [s.name for s in parse_pipeline("place-to-machine{target=mesh-cpu}")] == [
        "convert-place-to-pal"
    ]
    with pytest.raises(PipelineError, match="has no option 'first'; it has: target, "):
        parse_pipeline("tile-to-place{first=cse}")


@dataclass(frozen=True)
class Break(ModulePass):
    """Leaves invalid IR behind, or refuses the module."""

    name = "break"
    refuse: bool = False

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if self.refuse:
            raise PassFailedException("the module is\nnot to its taste")
        function = next(iter(op.body.block.ops))
        last = function.regions[0].block.last_op
        assert last is not None
        last.detach()


def test_passes_run_in_place_and_are_timed() -> None:
    module = parse(SUM + SUM.replace("@sum", "@unused").replace("func.return %0", "func.return %a"))
    seen: list[str] = []
    timings: dict[str, float] = {}
    run_passes(module, "dce,cse,dce", timings=timings, print_after=lambda p, _: seen.append(p.name))
    assert seen == ["dce", "cse", "dce"]
    assert set(timings) == {"dce", "cse"}
    assert print_module(module).count("arith.addf") == 1


def test_invalid_ir_is_blamed_on_the_pass_before() -> None:
    with pytest.raises(IRError, match=r"after pass break"):
        run_passes(parse(SUM), [Break()])
    run_passes(parse(SUM), [Break()], verify=False)


def test_refusal_of_a_pass_is_one_line_with_the_file() -> None:
    with pytest.raises(IRError) as caught:
        run_passes(parse(SUM), [Break(refuse=True)])
    assert str(caught.value) == "file.mlir:1:1: pass break: the module is; not to its taste"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("builtin.module {\n  func.func\n}", "file.mlir:3:1"),
        ('\n"arith.constant"() {value = #unknown.thing} : () -> i32', "file.mlir:2:43"),
        ("%0 = arith.addf %0", "file.mlir:1:19"),
        ("func.func private @f(tensor<-3xf32>)", "file.mlir:1:"),
        ('"a.b"() {x = dense<[1, 2]> : tensor<3xi8>} : () -> ()', "file.mlir:1:"),
        ('\n  "arith.constant"() <{value = true : f32}> : () -> f32', "file.mlir:2:"),
        ("", "file.mlir:1:1"),
        ("\x00", "file.mlir:1:1"),
    ],
)
def test_syntax_error_has_a_position(text: str, where: str) -> None:
    with pytest.raises(IRError) as caught:
        parse(text)
    assert str(caught.value.where).startswith(where)
    assert "\n" not in str(caught.value)


def test_string_without_an_end_is_refused_at_once() -> None:
    with pytest.raises(IRError, match=r"file\.mlir:2:1: .*closing string literal"):
        parse("\n" + '"' + "a b" * 10_000)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(IRError):
        parse("builtin.module {" * 20000)


def test_operations_get_the_position_of_their_text_unless_they_have_one() -> None:
    module = parse(SUM.replace("a : f32\n", 'a : f32 loc("layer.1")\n'))
    found = {op.name: where_of(op) for op in module.walk()}
    assert found == {
        "builtin.module": "file.mlir:1:1",
        "func.func": "file.mlir:1:1",
        "arith.addf": "layer.1",
        "func.return": "file.mlir:3:3",
    }


def test_verification_names_every_fault_at_its_place() -> None:
    add, mul = (f'"arith.{name}"(%a, %a) : (i8, i8) -> i8' for name in ("addf", "mulf"))
    module = parse(f"func.func @f(%a: i8) {{\n  %0 = {add}\n  %1 = {mul}\n  func.return\n}}")
    with pytest.raises(IRError) as caught:
        verify_module(module)
    faults = (caught.value, *caught.value.faults)
    assert [fault.where for fault in faults] == ["file.mlir:2:3", "file.mlir:3:3"]


def test_fused_locations_name_each_source_once() -> None:
    first, second = (NameLoc(StringAttr(name), NoneAttr()) for name in ("conv", "relu"))
    assert location_text(FusedLoc([first, second, first], NoneAttr())) == "conv + relu"
    assert single_line("must be:\n  even\n") == "must be: even"


def test_split_input_keeps_line_numbers() -> None:
    assert list(split_input("a\nb\n// -----\nc")) == [("a\nb\n", 0), ("\nc", 2)]


@pytest.mark.parametrize("level", sorted(LEVELS))
def test_level_loads_under_its_name(level: str) -> None:
    assert level_factories()[level]().name == level


def test_stock_xdsl_finds_levels_and_passes() -> None:
    from semc.compiler.universe import UNIVERSE

    assert set(UNIVERSE.all_dialects) == set(LEVELS)
    assert set(UNIVERSE.all_passes) == {name for name, info in PASSES.items() if not info.stock}


def test_context_carries_the_weights() -> None:
    store = WeightStore()
    ctx = new_context(store)
    assert weights_of(ctx) is store
    clone = ctx.clone()
    assert isinstance(clone, CompilerContext)
    assert weights_of(clone) is store
    assert set(clone.registered_dialect_names) == set(ctx.registered_dialect_names)
    assert len(weights_of(Context())) == 0


def test_expected_errors_must_come(semc_command: Callable[..., Any]) -> None:
    done = semc_command("opt", "--verify-diagnostics", stdin=SUM)
    assert (done.code, done.out) == (1, "")
    assert done.err == "error: <stdin>: an error was expected, and there was none\n"


def test_run_opt_reads_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(SUM))
    result = run_opt(OptOptions(pipeline="cse", print_debuginfo=True))
    assert 'loc("<stdin>":2:3)' in result.text()
    assert set(result.timings) == {"cse"}
