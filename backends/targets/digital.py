"""Arrays whose cells multiply and add in logic: digital compute-in-memory.

Each cell multiplies its weight bit with the input bit on its row and adds to the sum that comes
from the row before; registers cut a column into stages. Inputs come bit by bit. A weight of B bits
takes B columns that multiply and ``carry_columns`` more, which carry the growth of the sum (Kim et
al., Colonnade, JSSC 56, 2221, 2021).
"""

from typing import Annotated

from pydantic import Field

from .schema import Count, NonNegative, Positive, Section


class Digital(Section):
    """Adders in the cells: energies at mean activity, for one clock, at the target's supply."""

    carry_columns: Annotated[int, Field(ge=0, le=64)]
    clock_ns: Positive
    adder_fj: NonNegative
    """One cell's adder, on every column, used or not."""
    multiplier_fj: NonNegative
    """One cell's one-bit product, on the columns that hold a weight bit."""
    driver_fj: NonNegative
    """One row's driver and line."""
    rows_per_register: Count
    register_fj: NonNegative
    """One column's register of one stage."""
    control_fj: NonNegative
    """Control and decoder of the array."""

    def columns_per_weight(self, weight_bits: int) -> int:
        """Columns that a weight of ``weight_bits`` takes."""
        return weight_bits + self.carry_columns

    def read_energy_j(
        self, rows: int, cols: int, weight_bits: int, input_bits: int
    ) -> dict[str, float]:
        """Energy of one input vector through an array of ``rows`` x ``cols`` cells, by part.

        The precision is given because these arrays are set to it at run time. The adders of a row
        without an input, and of a column without a weight, see the clock and the carries like the
        others, so the whole array counts.
        """
        weights = cols // self.columns_per_weight(weight_bits)
        cells_fj = rows * (cols * self.adder_fj + weights * weight_bits * self.multiplier_fj)
        stages = -(-rows // self.rows_per_register)
        per_clock_fj = {
            "array": cells_fj,
            "drivers": rows * self.driver_fj,
            "accumulate": stages * cols * self.register_fj,
            "controller": self.control_fj,
        }
        return {part: energy * input_bits * 1e-15 for part, energy in per_clock_fj.items()}

    def read_latency_s(self, input_bits: int) -> float:
        """Time of one input vector, its bits following each other through the stages."""
        return input_bits * self.clock_ns * 1e-9
