"""The sections of a memcap target file, one model each; units are in the keys."""

from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from .schema import Bits, Count, Fraction, NonNegative, Positive, Section

EFFECTS = (
    "mismatch", "programming", "stuck", "drift", "window", "divider", "settling", "coupling",
    "injection", "dielectric", "droop", "thermal", "read", "dac", "adc_gain", "adc_offset",
    "adc_inl", "adc_dnl", "adc_noise",
)  # fmt: skip
"""The physical effects of ``noisy`` mode, by the names that ``noise.off`` takes."""


#: Tables have a row or a column for each of these; 65,536 is beyond any chip thought of.
Side = Annotated[int, Field(ge=1, le=1 << 16)]
#: Array sites of the largest stack that is planned for: 200 times the phone-class chip's.
MOST_SITES = 1 << 25


class Stack(Section):
    """Array sites: ``layers`` x ``grid_rows`` x ``grid_cols``."""

    layers: Side
    grid_rows: Side
    grid_cols: Side
    max_active_layers: Side
    layer_pitch_um: Positive
    via_capacitance_ff: NonNegative
    """Capacitance that each further layer's via adds to a column on its way to the base die."""
    via_resistance_ohm: NonNegative = 0.0
    """Resistance that each further layer's via adds to a column."""
    planar: bool = False
    """The arrays lie beside the base die's circuits, not above them: a macro without a stack."""

    @model_validator(mode="after")
    def _plannable(self) -> "Stack":
        sites = self.layers * self.grid_rows * self.grid_cols
        if sites > MOST_SITES:
            raise ValueError(f"a stack must have at most {MOST_SITES:,} array sites, not {sites:,}")
        return self


class Array(Section):
    """One crossbar: geometry, cell and lines."""

    rows: Side
    cols: Side
    cell_pitch_nm: Positive
    cell_fill: Annotated[float, Field(gt=0, le=1)]
    """Share of the cell's area that is capacitor electrode."""
    c_on_ff: Positive
    c_off_ff: NonNegative
    levels: Annotated[int, Field(ge=2, le=128)]
    read_voltage_v: Positive
    line_resistance_ohm_um: NonNegative
    line_capacitance_ff_um: NonNegative
    driver_resistance_ohm: NonNegative
    settle_ns: Positive
    """Time from the row step to the first conversion."""
    overhead_um: NonNegative
    """Added to each side of the cell field: row and column hook-up, vias, guard."""
    readout: Literal["passive", "amplifier"]
    """Columns share their charge passively, or a charge amplifier holds them at virtual ground."""
    adc_input_ff: NonNegative
    """Converter (passive) or amplifier input capacitance on each column leg."""
    feedback_ff: NonNegative = 0.0
    """Charge amplifier feedback capacitance; amplifier readout only."""
    amplifier_gain: NonNegative = 0.0
    amplifier_gamma: NonNegative = 0.0
    """Excess noise factor of the amplifier's input pair."""
    amplifier_load_ff: NonNegative = 0.0
    amplifier_power_uw: NonNegative = 0.0
    """Bias power of one amplifier while its array works."""
    amplifier_area_um2: NonNegative = 0.0
    double_sampling: bool = False
    """Convert each column after its reset too, with ``reset_bits`` steps of the same size, and
    subtract: what the reset froze on it (kT/C, offset) goes away."""
    reset_bits: Annotated[int, Field(ge=1, le=24)] = 5
    drive: Literal["step", "adiabatic", "pulses"] = "step"
    """An input is one voltage step or ramp of its size, or as many full pulses as its code says.
    ``settle_ns`` is then the time of one pulse."""
    ramp_rc_ratio: NonNegative = 0.0
    """Adiabatic drive: r = RC / ramp time."""
    endurance_writes: Positive
    write_ns: Positive
    """Time to program and verify one row."""
    write_energy_fj: NonNegative
    """Energy to program and verify one cell."""

    @field_validator("levels")
    @classmethod
    def _levels_power_of_two(cls, levels: int) -> int:
        if levels & (levels - 1):
            raise ValueError("must be a power of 2")
        return levels

    @model_validator(mode="after")
    def _consistent(self) -> "Array":
        if self.c_off_ff >= self.c_on_ff:
            raise ValueError(f"c_off_ff ({self.c_off_ff}) must be below c_on_ff ({self.c_on_ff})")
        if self.readout == "amplifier" and not (
            self.feedback_ff and self.amplifier_gain and self.amplifier_load_ff
        ):
            raise ValueError(
                "amplifier readout needs feedback_ff, amplifier_gain and amplifier_load_ff above 0"
            )
        if self.drive == "adiabatic" and not self.ramp_rc_ratio:
            raise ValueError("adiabatic drive needs ramp_rc_ratio above 0")
        return self

    @property
    def cell_bits(self) -> int:
        """Bits that one cell stores."""
        return self.levels.bit_length() - 1

    @property
    def level_ff(self) -> float:
        """Capacitance between two neighbouring levels, fF."""
        return (self.c_on_ff - self.c_off_ff) / (self.levels - 1)

    @property
    def cell_area_um2(self) -> float:
        """Electrode area of one cell, um2."""
        return (self.cell_pitch_nm * 1e-3) ** 2 * self.cell_fill

    @property
    def line_um(self) -> tuple[float, float]:
        """Lengths of a row line and of a column line, um."""
        pitch_um = self.cell_pitch_nm * 1e-3
        return self.cols * pitch_um, self.rows * pitch_um


class Numerics(Section):
    """How integer weights and inputs meet the cells."""

    weight_bits: Annotated[int, Field(ge=2, le=8)]
    """Signed, sign included."""
    input_bits: Annotated[int, Field(ge=2, le=16)]
    """Signed, sign included."""
    input_coding: Literal["amplitude", "bit-serial"] = "amplitude"
    """A row carries the input as one voltage, or its magnitude bits as pulses of one voltage and
    the input's sign, lowest first, each pulse converted by itself."""
    scheme: Literal["differential"] = "differential"
    gain_correction: bool = True
    """Digital correction of each column's charge-divider gain, known when compiling."""
    window_correction: bool = True
    """Digital correction of the mean loss of window (drift, read frequency), which reference
    cells show at each read."""
    pair_repair: bool = True
    """The healthy cell of a differential pair makes up for a stuck one when it is written."""

    @property
    def pulses(self) -> int:
        """Drives of a row, and conversions of a column, for one input."""
        return self.input_bits - 1 if self.input_coding == "bit-serial" else 1


class Adc(Section):
    """The converter behind ``columns_per_adc`` physical columns: half as many pairs."""

    bits: Bits
    columns_per_adc: Annotated[int, Field(ge=2, multiple_of=2)]
    conversion_ns: Positive
    fom_walden_fj: NonNegative
    """Energy per conversion step: E = fom_walden 2^B + fom_thermal 4^B."""
    fom_thermal_fj: NonNegative
    area_um2: NonNegative
    gain_sigma: NonNegative
    offset_sigma_lsb: NonNegative
    inl_sigma_lsb: NonNegative
    """Peak of the cubic bow of a converter, one sigma over converters."""
    dnl_sigma_lsb: NonNegative
    """DNL at the middle code, one sigma over converters, from mismatch of the capacitors that make
    the steps of a successive approximation."""
    noise_lsb: NonNegative

    @property
    def energy_fj(self) -> float:
        """Energy of one conversion, fJ (Walden term + thermal term)."""
        return self.energy_at_fj(self.bits)

    def energy_at_fj(self, bits: int) -> float:
        """Energy of a conversion that stops after ``bits`` bits, fJ."""
        return self.fom_walden_fj * 2.0**bits + self.fom_thermal_fj * 4.0**bits


class Dac(Section):
    """The row driver."""

    bits: Bits
    energy_fj: NonNegative
    area_um2: NonNegative
    gain_sigma: NonNegative
    ladder_kohm: NonNegative = 0.0
    """Resistance of a resistor ladder, which draws x^2 V^2 / R as long as it drives; 0 = none."""


class OpEnergy(Section):
    """Energy of one element through the vector engine, by class of scalar operation, pJ."""

    add: NonNegative
    mul: NonNegative
    special: NonNegative
    move: NonNegative


class Vector(Section):
    """The digital engine: ``lanes`` float32 lanes, one simple operation per lane and clock."""

    lanes: Count
    clock_ghz: Positive
    special_cycles: Count
    """Clocks per element of exp, log, tanh, division and their kin."""
    energy_pj: OpEnergy
    area_mm2: NonNegative


class Sram(Section):
    """The buffer between the arrays and the vector engine."""

    bytes: Count
    bandwidth_gb_s: Positive
    energy_pj_per_byte: NonNegative
    area_mm2: NonNegative


class Links(Section):
    """The network between sites and buffer on the base die, and the vias of the stack."""

    hop_ns: NonNegative
    bandwidth_gb_s: Positive
    energy_pj_per_byte_mm: NonNegative
    via_energy_pj_per_byte: NonNegative
    """Per layer crossed."""


class ChipLink(Section):
    """The link between neighbours where a program spans several chips, each way.

    The defaults are a UCIe module of a standard package: 16 lanes at 16 GT/s, 0.5 pJ/bit, 2 ns
    (Das Sharma et al., IEEE Trans. CPMT 12 (2022), table of key metrics).
    """

    bandwidth_gb_s: Positive = 32.0
    latency_ns: NonNegative = 2.0
    energy_pj_per_byte: NonNegative = 4.0


class Host(Section):
    """The processor beside the chip, which runs what has no lowering."""

    link_gb_s: Positive
    link_energy_pj_per_byte: NonNegative
    gflops: Positive
    launch_us: NonNegative
    power_w: NonNegative


class Controller(Section):
    """Instruction fetch, decode and issue."""

    energy_pj_per_instruction: NonNegative
    issue_ns: NonNegative
    area_mm2: NonNegative
    io_area_mm2: NonNegative
    sequencers_per_layer: Annotated[int, Field(ge=1, le=64)] = 1
    """Products that one layer runs side by side, each an instruction stream of its own."""
    sequencer_area_mm2: NonNegative = 0.0
    """Area of each sequencer beyond the first of a layer, which ``area_mm2`` holds."""


class Noise(Section):
    """Device physics of ``noisy`` mode. Zero, or a name in ``off``, switches an effect off."""

    temperature_k: Positive
    temperature_per_layer_k: NonNegative
    """Rise per layer above the base die."""
    mismatch_percent_um: NonNegative
    """Pelgrom area coefficient A_C: sigma(dC/C) = A_C / sqrt(area)."""
    programming_sigma: NonNegative
    """Spread of one write, as a share of the window C_on - C_off."""
    verify_tolerance: NonNegative = 0.0
    """A write is repeated until it is this close (share of the window); 0 = no verify."""
    verify_rounds: Annotated[int, Field(ge=1, le=64)] = 1
    """Writes of one cell at most."""
    stuck_on_fraction: Fraction
    stuck_off_fraction: Fraction
    drift_nu: Fraction
    """Loss of window per decade of time."""
    drift_t0_s: Positive
    drift_time_s: NonNegative
    """Age of the stored weights."""
    drift_nu_sigma: NonNegative = 0.0
    """Spread of the loss per decade from cell to cell."""
    window_corner_mhz: NonNegative = 0.0
    """Read frequency at which the window has halved; 0 = it does not depend on it."""
    leakage_tau_us: NonNegative = 0.0
    """Time constant with which a column loses its charge before it is converted; 0 = none."""
    injection_residual: Fraction
    """Share of the switch charge that differential readout leaves, one sigma."""
    switch_area_um2: NonNegative
    switch_oxide_ff_um2: NonNegative
    switch_overlap_ff: NonNegative
    switch_high_v: NonNegative
    switch_threshold_v: NonNegative
    read_sigma: NonNegative
    """Read noise of one cell, as a share of the window, fresh at every read."""
    dielectric_a2_per_v2: float
    """C(V) = C0 (1 + a2 V^2); the linear term cancels in the differential drive."""
    column_coupling: Fraction
    """Share of a neighbouring column's signal that appears on a column."""
    leg_imbalance: Fraction
    """Share of the total-capacitance difference of a pair's legs that trimming leaves."""
    off: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @field_validator("off")
    @classmethod
    def _known_effects(cls, off: tuple[str, ...]) -> tuple[str, ...]:
        unknown = sorted(set(off) - set(EFFECTS))
        if unknown:
            raise ValueError(f"unknown effect {', '.join(unknown)}; known: {', '.join(EFFECTS)}")
        return off

    def is_on(self, effect: str) -> bool:
        """Whether ``effect`` (one of ``EFFECTS``) is simulated."""
        return effect not in self.off
