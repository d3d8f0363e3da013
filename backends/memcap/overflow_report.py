"""What a program that did not fit one chip at once takes instead, for reports."""

from typing import Any

from ..program import Program


def overflow_report(program: Program, latency_s: float | None = None) -> dict[str, Any]:
    """``reload`` where matrices are written while running, ``chips`` where there are several.

    With ``latency_s`` of an inference also the time until cells are worn out. Empty for what fits.
    """
    if "tiles.rounds" not in program.tensors and "chips" not in program.manifest:
        return {}
    from .crossing import chip_report
    from .decode import decode_program
    from .residency import wear_of

    decoded = decode_program(program)
    wear = wear_of(decoded)
    found = {} if wear is None else {"reload": wear.as_dict(latency_s)}
    return found | ({"chips": chip_report(decoded)} if decoded.chips > 1 else {})
