"""Damaged IR is refused with a position, and what is accepted survives a round trip."""

import re

from hypothesis import given
from hypothesis import strategies as st
from xdsl.dialects.builtin import ModuleOp

from semc.compiler.context import new_context
from semc.compiler.opt_main import print_module
from semc.compiler.parse import parse_module
from semc.compiler.verify import verify_module
from semc.errors import IRError

SOUND = """
func.func @f(%a: tensor<4xf32>, %c: i1) -> tensor<4xf32> attributes {note = "a\\22b"} {
  %0 = arith.addf %a, %a : tensor<4xf32>
  %1 = "arith.constant"() <{value = dense<[1.0, -3.0]> : tensor<2xf32>}> : () -> tensor<2xf32>
  %2 = scf.if %c -> (tensor<4xf32>) {
    scf.yield %0 : tensor<4xf32>
  } else {
    scf.yield %a : tensor<4xf32>
  }
  func.return %2 : tensor<4xf32> loc("layer.1")
}
"""

PIECES = st.sampled_from(
    [*'!#%"<>{}()[]@,:=-', "loc(", "tensor<", "dense<", "0x", "9" * 40, "->", "^bb0", "\x00", "é"]
)
EDITS = st.lists(
    st.tuples(st.integers(0, len(SOUND)), st.integers(0, 8), st.just("") | PIECES),
    min_size=1,
    max_size=3,
)


def read(text: str) -> ModuleOp | IRError:
    try:
        module = parse_module(text, new_context(), "f")
        verify_module(module)
    except IRError as error:
        return error
    return module


@given(EDITS)
def test_damaged_text_is_refused_or_round_trips(edits: list[tuple[int, int, str]]) -> None:
    text = SOUND
    for start, removed, added in edits:
        text = text[:start] + added + text[start + removed :]
    result = read(text)
    if isinstance(result, IRError):
        assert re.match(r"f:\d+:\d+$|layer", str(result.where))
        assert "\n" not in str(result)
    else:
        printed = print_module(result)
        assert print_module(parse_module(printed, new_context(), "printed")) == printed


def test_the_sound_text_is_sound() -> None:
    verify_module(parse_module(SOUND, new_context(), "f"))
