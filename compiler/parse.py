"""Read textual IR, so that every fault is one line with file, line and column.

xDSL's parser gives operations no position of their own; as in MLIR an operation without an
explicit location gets the position of its text here, and faults that appear only while a type or
an attribute is being built are reported at the operation that holds it.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager

from xdsl.context import Context
from xdsl.dialects.builtin import UNKNOWN_LOC, FileLineColLoc, IntAttr, ModuleOp, StringAttr
from xdsl.ir import Operation
from xdsl.parser import Parser, ParserState
from xdsl.utils.exceptions import (
    DiagnosticException,
    ParseError,
    UnregisteredConstructException,
)
from xdsl.utils.lexer import Input
from xdsl.utils.mlir_lexer import MLIRLexer

from ..errors import IRError, SemcError
from .diagnostics import single_line

#: Text between two independent modules of one file (``--split-input-file``).
SEPARATOR = "// -----"

# What xDSL raises for bad text outside its own ParseError: numbers out of range, symbols unknown
# to a table, nesting beyond Python's stack.
_FAULTS_OF_TEXT = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    RecursionError,
    TypeError,
    ValueError,
)


def parse_module(text: str, ctx: Context, name: str, line_offset: int = 0) -> ModuleOp:
    """Parse ``text`` as one module; ``name`` and ``line_offset`` place it in its file.

    Raises IRError. The module is not verified.
    """
    positions = _Positions(text, name, line_offset)
    with _as_ir_errors(positions):
        module = _LocatingParser(ctx, text, positions).parse_module()
    if module.location is UNKNOWN_LOC:
        module.location = positions.location(0)
    return module


def split_input(text: str) -> Iterator[tuple[str, int]]:
    """The modules of a file divided by ``// -----`` lines: (text, lines before it)."""
    offset = 0
    for chunk in text.split(SEPARATOR):
        yield chunk, offset
        offset += chunk.count("\n")


class _Positions:
    """Character positions of one text as file, line and column."""

    def __init__(self, text: str, name: str, line_offset: int) -> None:
        self.file = StringAttr(name)
        self.line_offset = line_offset
        self.line_starts = [0, *(end.end() for end in re.finditer("\n", text))]
        # Where the innermost operation begins that is being parsed.
        self.operation_start = 0

    def line_and_column(self, position: int) -> tuple[int, int]:
        """The one-based line and column of a character position."""
        index = bisect_right(self.line_starts, position)
        return index + self.line_offset, position - self.line_starts[index - 1] + 1

    def location(self, position: int) -> FileLineColLoc:
        line, column = self.line_and_column(position)
        return FileLineColLoc(self.file, IntAttr(line), IntAttr(column))

    def where(self, position: int | None = None) -> str:
        """``file:line:column`` of ``position``, or of the operation being parsed."""
        position = self.operation_start if position is None else position
        line, column = self.line_and_column(position)
        return f"{self.file.data}:{line}:{column}"


class _Lexer(MLIRLexer):
    """A lexer that answers at once to a string without an end.

    The expression that xDSL 0.74 has here tries exponentially many ways to read such a string; the
    same language with possessive repetition tries one.
    """

    _unescaped_characters_regex = re.compile(r'"(?:[^"\\\n\v\f]++|\\(?:["nt\\]|[0-9A-Fa-f]{2}))*+"')


class _LocatingParser(Parser):
    """A parser that gives each operation the position of its first token."""

    def __init__(self, ctx: Context, text: str, positions: _Positions) -> None:
        super().__init__(ctx, "", positions.file.data)
        self._parser_state = ParserState(_Lexer(Input(text, positions.file.data)))
        self.positions = positions

    def parse_operation(self) -> Operation:
        start = self._current_token.span.start
        outer, self.positions.operation_start = self.positions.operation_start, start
        op = super().parse_operation()
        self.positions.operation_start = outer
        if op.location is UNKNOWN_LOC:
            op.location = self.positions.location(start)
        return op


@contextmanager
def _as_ir_errors(positions: _Positions) -> Iterator[None]:
    try:
        yield
    except SemcError:
        raise
    except ParseError as error:
        where = positions.where(error.span.start)
        raise IRError(single_line(error.msg), where=where) from error
    except (DiagnosticException, UnregisteredConstructException) as error:
        raise IRError(single_line(str(error)), where=positions.where()) from error
    except RecursionError as error:
        message = "regions and types must not be nested this deep"
        raise IRError(message, where=positions.where()) from error
    except _FAULTS_OF_TEXT as error:
        detail = single_line(str(error)) or type(error).__name__
        message = f"operation cannot be read: {detail}"
        raise IRError(message, where=positions.where()) from error
