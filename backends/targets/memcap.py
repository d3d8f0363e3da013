"""The memcap machine: a 3-D stack of capacitive crossbars over a CMOS base die.

Geometry. A *site* is one crossbar in one layer at one (row, column) of the grid; the sites above
each other are a *stack* and share the converters on the base die below them, so at most
``stack.max_active_layers`` of one stack work at a time.

Numbers. A weight is a sign and ``weight_bits - 1`` magnitude bits. The magnitude is cut into
``slices`` groups of as many bits each, lowest first (slicing.py); each slice is a pair of cells on
a differential column pair. ``columns_per_weight = 2 * slices`` physical columns hold one column of
weights, so an array holds ``rows`` x ``weight_cols`` weights.
"""

import math
from typing import Literal

from pydantic import model_validator

from .defects import Defects, defect_limits
from .digital import Digital
from .memcap_sections import (
    EFFECTS,
    Adc,
    Array,
    ChipLink,
    Controller,
    Dac,
    Host,
    Links,
    Noise,
    Numerics,
    Sram,
    Stack,
    Vector,
)
from .price import Price
from .schema import Name, NonNegative, Section, unsourced
from .technology import Technology
from .thermal import Thermal

__all__ = ["EFFECTS", "HOST_BYTES", "SECTIONS", "SUM_BYTES", "MemcapTarget"]

#: Bytes of the host's memory that a program may use; no target limits it.
HOST_BYTES = 1 << 40
#: Bytes of a partial sum on its way from the converters.
SUM_BYTES = 4


class MemcapTarget(Section):
    """A whole memcap target; what a program file carries and a simulation needs."""

    name: Name
    machine: Literal["memcap"]
    description: str
    stack: Stack
    array: Array
    numerics: Numerics
    adc: Adc
    dac: Dac
    vector: Vector
    sram: Sram
    links: Links
    chip_link: ChipLink = ChipLink()
    """Between neighbours of a chain of these chips."""
    host: Host
    controller: Controller
    noise: Noise
    digital: Digital | None = None
    """Adders in the cells in place of charge; the converters then stand for none."""
    technology: Technology | None = None
    """The process and the supply at which the constants hold; needed to leave that supply."""
    price: Price | None = None
    """What making and running the chip costs; without it reports name no price."""
    thermal: Thermal = Thermal()
    defects: Defects = Defects()
    """What is broken on the chip that is compiled for."""
    leakage_w: NonNegative
    budget_area_mm2: NonNegative = 0.0
    """The area this chip was meant to fit; 0 = none stated."""
    budget_power_w: NonNegative = 0.0
    sources: dict[str, str]
    """Per section, where its constants come from; an assumption is called one."""

    @model_validator(mode="after")
    def _consistent(self) -> "MemcapTarget":
        faults = []
        if self.stack.max_active_layers > self.stack.layers:
            faults.append(
                f"stack.max_active_layers ({self.stack.max_active_layers}) must not exceed "
                f"stack.layers ({self.stack.layers})"
            )
        if self.columns_per_weight > self.array.cols:
            faults.append(
                f"array.cols ({self.array.cols}) must hold one weight, "
                f"{self.columns_per_weight} columns"
            )
        if self.adc.columns_per_adc > self.array.cols:
            faults.append(
                f"adc.columns_per_adc ({self.adc.columns_per_adc}) must not exceed array.cols "
                f"({self.array.cols})"
            )
        if self.dac.bits < self.numerics.input_bits:
            faults.append(
                f"dac.bits ({self.dac.bits}) must be at least numerics.input_bits "
                f"({self.numerics.input_bits})"
            )
        if self.array.drive == "pulses" and self.numerics.input_coding == "bit-serial":
            faults.append(
                "array.drive 'pulses' and numerics.input_coding 'bit-serial' exclude each other"
            )
        stuck = self.noise.stuck_on_fraction + self.noise.stuck_off_fraction
        if stuck > 1:
            faults.append(f"noise.stuck_on_fraction + stuck_off_fraction ({stuck}) must be <= 1")
        faults += self.defects.faults(defect_limits(self))
        faults += unsourced(SECTIONS, self.sources)
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def __hash__(self) -> int:
        return hash((self.name, self.stack, self.array, self.numerics, self.adc, self.noise))

    @property
    def cell_bits(self) -> int:
        """Bits that one cell stores."""
        return self.array.cell_bits

    @property
    def slices(self) -> int:
        """Cell pairs per weight."""
        return -(-(self.numerics.weight_bits - 1) // self.cell_bits)

    @property
    def columns_per_weight(self) -> int:
        """Physical columns per logical column of weights."""
        if self.digital is not None:
            return self.digital.columns_per_weight(self.numerics.weight_bits)
        return 2 * self.slices

    @property
    def weight_cols(self) -> int:
        """Logical columns of weights per array."""
        return self.array.cols // self.columns_per_weight

    @property
    def weights_per_array(self) -> int:
        """Weights that one array holds."""
        return self.array.rows * self.weight_cols

    @property
    def code_bytes(self) -> float:
        """Bytes of an input on its way to a row."""
        return self.numerics.input_bits / 8

    @property
    def arrays(self) -> int:
        """Array sites of the chip."""
        return self.stack.layers * self.stack.grid_rows * self.stack.grid_cols

    @property
    def weight_capacity(self) -> int:
        """Weights that the chip holds at once."""
        return self.arrays * self.weights_per_array

    @property
    def adcs_per_array(self) -> int:
        """Converters that serve one active array."""
        return math.ceil(self.array.cols / self.adc.columns_per_adc)

    @property
    def pulses_per_input(self) -> int:
        """Full pulses that the largest input code puts on its row; 1 for an amplitude."""
        if self.array.drive == "pulses":
            return int(2 ** (self.numerics.input_bits - 1) - 1)
        return self.numerics.pulses

    def column_conversion_ns(self, adc_bits: int | None = None) -> float:
        """Time to convert a column: a cycle a bit, and those of the reset where it is converted.

        ``adc_bits`` is where the converter stops; None takes all its bits.
        """
        cycles = self.adc.bits if adc_bits is None else adc_bits
        if self.array.double_sampling:
            cycles += self.array.reset_bits
        return self.adc.conversion_ns * cycles / self.adc.bits

    @property
    def read_period_ns(self) -> float:
        """Time between two drives of a full array: settle, then convert all its pairs."""
        rounds = math.ceil(self.weight_cols * self.slices / self.adcs_per_array)
        return self.array.settle_ns + rounds * self.column_conversion_ns()

    @property
    def site_um(self) -> tuple[float, float]:
        """Pitch of the grid: width (along a row line) and height (along a column line), um."""
        row_um, col_um = self.array.line_um
        return row_um + self.array.overhead_um, col_um + self.array.overhead_um

    @property
    def area_mm2(self) -> float:
        """Die area, mm2 (area.py)."""
        from .area import die_area_mm2

        return die_area_mm2(self)


SECTIONS = (
    "stack", "array", "numerics", "adc", "dac", "vector", "sram", "links", "host", "controller",
    "noise", "leakage_w",
)  # fmt: skip
