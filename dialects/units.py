"""The names of a chip's controllers, said once for every level."""

#: What each chip has one of; there is one host.
UNITS_OF_A_CHIP = ("vector", "dma")
HOST_UNIT = "host"
CONTROL_UNIT = "control"


def layer_unit(layer: int, sequencer: int = 0) -> str:
    """``layer3`` for the first sequencer of a layer, ``layer3.1`` for the second."""
    return f"layer{layer}.{sequencer}" if sequencer else f"layer{layer}"


def place_of_unit(unit: str) -> tuple[int, int] | None:
    """(layer, sequencer) of a controller of arrays; None for any other name."""
    name, _, number = unit.removeprefix("layer").partition(".")
    numbers = [int(n) for n in (name, number or "0") if n.isascii() and n.isdigit()]
    if len(numbers) < 2 or layer_unit(numbers[0], numbers[1]) != unit:
        return None
    return numbers[0], numbers[1]
