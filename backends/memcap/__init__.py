"""Programs of the memcap machine: instruction set, encoding, decoding, listings."""

from .decode import MemcapProgram, decode_program
from .isa import Instruction, Opcode, Stream

__all__ = ["Instruction", "MemcapProgram", "Opcode", "Stream", "decode_program"]
