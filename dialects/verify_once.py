"""Decide once what equal operations have in common: verdicts of verifiers, bodies of regions.

A verifier that looks at nothing but its own operation (class, types of operands and results,
properties, scalar body) says the same of every operation that is equal in these. A compilation
verifies all of its operations after every pass, thousands of them alike, so the verdict is kept.
Attributes cannot change: the identity of one stands for its value for as long as it is kept alive.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Generic, TypeVar

from xdsl.ir import Block, ErasedSSAValue, Operation, Region, SSAValue
from xdsl.irdl import IRDLOperation

_Fact = TypeVar("_Fact")
_MOST_FACTS = 1 << 16


class Premises:
    """Classes, attributes and names, compared by identity, and plain numbers."""

    __slots__ = ("_key", "numbers", "parts")

    def __init__(self) -> None:
        self.parts: list[object] = []
        self.numbers: list[int] = []
        self._key: tuple[int, ...] = ()

    def key(self) -> tuple[int, ...]:
        if not self._key:
            self._key = (*map(id, self.parts), *self.numbers)
        return self._key

    def add_operation(
        self,
        op: Operation,
        operands: Iterable[SSAValue],
        facts: Mapping[str, Callable[[Any], object]] | None = None,
    ) -> None:
        """All of ``op`` but its regions; of properties in ``facts`` no more than that says."""
        parts = self.parts
        parts.append(type(op))
        parts.extend([value.type for value in operands])
        parts.append(None)
        parts.extend([result.type for result in op.results])
        parts.append(None)
        for name, value in op.properties.items():
            parts.append(name)
            if facts and name in facts:
                parts.append(type(value))
                parts.append(facts[name](value))
            else:
                parts.append(value)

    def add_body(self, block: Block) -> bool:
        """Operations of ``block`` and what each reads; False where that is more than its own."""
        numbers: dict[int, int] = {}  # by identity, which is what values compare by
        for argument in block.args:
            numbers[id(argument)] = len(numbers)
            self.parts.append(argument.type)
        for op in block.ops:
            if op.parent is not block or (op.regions and not isinstance(op, SelfContained)):
                return False
            operands = list(op.operands)
            for operand in operands:
                number = numbers.get(id(operand))
                if number is None:
                    return False
                self.numbers.append(number)
            self.add_operation(op, operands)
            if not self.add_regions(op):
                return False
            for result in op.results:
                numbers[id(result)] = len(numbers)
        self.parts.append(None)
        return True

    def add_regions(self, op: Operation) -> bool:
        """The bodies of ``op``; False where one is no single block that stands for itself."""
        for region in op.regions:
            block = region.first_block
            if block is None or block.next_block is not None or not self.add_body(block):
                return False
        return True


class FactMemo(Generic[_Fact]):
    """Facts by what they follow from; starts afresh when it holds too many."""

    def __init__(self) -> None:
        self._facts: dict[tuple[int, ...], tuple[_Fact, Premises]] = {}

    def get(self, premises: Premises) -> _Fact | None:
        found = self._facts.get(premises.key())
        return None if found is None else found[0]

    def put(self, premises: Premises, fact: _Fact) -> None:
        if len(self._facts) >= _MOST_FACTS:
            self._facts.clear()
        self._facts[premises.key()] = (fact, premises)


def premises_of_region(region: Region) -> Premises | None:
    """What a region of plain operations says; None for any other region."""
    premises = Premises()
    block = region.first_block
    alone = block is not None and block.next_block is None
    return premises if alone and block is not None and premises.add_body(block) else None


class SelfContained(IRDLOperation):
    """Base of operations whose verifier looks at nothing but the operation and its own body.

    ``READ_FACTS`` says, by property, what the verifier reads of it besides its class, where that is
    less than all: an object that is compared by identity.
    """

    READ_FACTS: ClassVar[Mapping[str, Callable[[Any], object]]] = {}

    def verify(self, verify_nested_ops: bool = True) -> None:
        """As xDSL does; what has been found right once is not looked at again."""
        premises = self._premises() if verify_nested_ops else None
        if premises is not None and _RIGHT.get(premises):
            return
        super().verify(verify_nested_ops)
        if premises is not None:
            _RIGHT.put(premises, True)

    def _premises(self) -> Premises | None:
        """None where more than the operation itself decides: at the end of a block, say."""
        operands = list(self.operands)
        if self.next_op is None or self.successors or any(map(_is_erased, operands)):
            return None
        premises = Premises()
        premises.parts.append(type(self.parent_op()))  # which some operations must be inside of
        premises.add_operation(self, operands, self.READ_FACTS)
        return premises if premises.add_regions(self) else None


def type_alone(attribute: Any) -> object:
    """For a property whose verifier reads no more than an integer's type."""
    return getattr(attribute, "type", None)


def sign_and_type(attribute: Any) -> object:
    """For an integer property that must not be negative."""
    return attribute.type if attribute.value.data >= 0 else None


def _is_erased(value: SSAValue) -> bool:
    return isinstance(value, ErasedSSAValue)


_RIGHT: FactMemo[bool] = FactMemo()
