"""Assembler for seccomp filters: decisions by system call number become a balanced tree of classic BPF.

Kernel and libseccomp agree on what a filter sees (struct seccomp_data, linux/seccomp.h): number,
architecture, six 64-bit arguments. Where libseccomp compares numbers one after the other, this assembler
merges runs of equal decisions into ranges and bisects them, so the program is short and quick to load.

Code is written backwards, from the last instruction to the first: a jump's target is known when the jump
is written, and a return or a block of argument tests written once is shared by every jump that reaches it.
"""

from __future__ import annotations

import struct

TYPE_CHECKING = False  # importing typing costs every start milliseconds
if TYPE_CHECKING:
    from collections.abc import Mapping

    Condition = tuple[int, str, int, int]
    """(argument, operator, value, second value); operators are OCI's without "SCMP_CMP_": EQ NE LT LE GT GE
    MASKED_EQ, which has the mask in `value` and what must be left in the second."""
    Rule = tuple[tuple[Condition, ...], int]
    """(conditions that must all hold, what to return then)"""
    Decision = tuple[tuple[Rule, ...], int]
    """(rules in the order they are tried, what to return when none applies)"""

MAX_INSTRUCTIONS = 4096  # BPF_MAXINSNS
X32_BIT = 0x40000000

_LOAD, _RETURN, _AND = 0x20, 0x06, 0x54  # BPF_LD|W|ABS, BPF_RET|K, BPF_ALU|AND|K
_JUMP, _EQUAL, _GREATER, _GREATER_EQUAL = 0x05, 0x15, 0x25, 0x35  # BPF_JMP|JA, |JEQ, |JGT, |JGE
_NUMBER, _ARCHITECTURE, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data
_REACH = 255  # conditional jumps have 8-bit offsets

# The operators that are another one with its outcomes exchanged.
_INVERSE = {"NE": "EQ", "LT": "GE", "LE": "GT"}


class Assembler:
    """A program under construction. A label is a distance from the program's end, in instructions."""

    def __init__(self) -> None:
        self._code: list[tuple[int, int, int, int]] = []
        self._returns: dict[int, int] = {}
        self._decisions: dict[tuple[Decision, bool], int] = {}

    def _emit(self, code: int, value: int, if_true: int = 0, if_false: int = 0) -> int:
        self._code.append((code, if_true, if_false, value))
        return len(self._code)

    def _near(self, label: int, room: int = 0) -> int:
        """Return a label for the same place that a conditional jump written next can reach."""
        if len(self._code) + room - label <= _REACH:
            return label
        return self._emit(_JUMP, len(self._code) - label)

    def branch(self, code: int, value: int, if_true: int, if_false: int) -> int:
        if_false = self._near(if_false, 1)  # 1: the other outcome may need a far jump of its own
        if_true = self._near(if_true)
        here = len(self._code)
        return self._emit(code, value, here - if_true, here - if_false)

    def result(self, value: int) -> int:
        """Return the label of a `return value`, an existing one if near."""
        label = self._returns.get(value)
        if label is None or len(self._code) + 2 - label > _REACH:
            label = self._returns[value] = self._emit(_RETURN, value)
        return label

    def _load(self, offset: int) -> int:
        """Load a word of seccomp_data and go on with what was written last."""
        return self._emit(_LOAD, offset)

    def decision(self, decision: Decision, wide: bool) -> int:
        """Return the label of the code for a decision. `wide`: arguments are compared as 64 bits, not 32."""
        rules, otherwise = decision
        if not rules:
            return self.result(otherwise)
        label = self._decisions.get((decision, wide))
        if label is None:
            label = self.result(otherwise)
            for conditions, value in reversed(rules):
                miss, label = label, self.result(value)
                for condition in reversed(conditions):
                    label = self._condition(condition, wide, label, miss)
            self._decisions[decision, wide] = label
        return label

    def _condition(self, condition: Condition, wide: bool, hit: int, miss: int) -> int:
        argument, operator, value, second = condition
        if operator in _INVERSE:
            operator, hit, miss = _INVERSE[operator], miss, hit
        mask = 0xFFFFFFFFFFFFFFFF
        if operator == "MASKED_EQ":
            operator, mask, value = "EQ", value, second
        offset = _ARGUMENTS + 8 * argument  # little-endian: the low word comes first
        low = value & 0xFFFFFFFF
        label = self._compare_low(operator, low, mask & 0xFFFFFFFF, hit, miss, offset)
        if wide:
            label = self._compare_high(operator, value >> 32, mask >> 32, label, (hit, miss), offset + 4)
        return label

    def _compare_low(self, operator: str, value: int, mask: int, hit: int, miss: int, offset: int) -> int:
        code = {"EQ": _EQUAL, "GT": _GREATER, "GE": _GREATER_EQUAL}[operator]
        self.branch(code, value, hit, miss)
        return self._masked_load(mask, offset)

    def _compare_high(
        self, operator: str, value: int, mask: int, low: int, outcomes: tuple[int, int], offset: int
    ) -> int:
        """The high words decide unless they are equal: then the code at `low` does."""
        hit, miss = outcomes
        label = self.branch(_EQUAL, value, low, miss)
        if operator != "EQ":
            self.branch(_GREATER, value, hit, label)
        return self._masked_load(mask, offset)

    def _masked_load(self, mask: int, offset: int) -> int:
        if mask != 0xFFFFFFFF:
            self._emit(_AND, mask)
        return self._load(offset)

    def tree(self, ranges: list[tuple[int, Decision]], wide: bool) -> int:
        """Return the label of code that finds the range of the number in the accumulator.

        `ranges`: (first number, decision), ascending; each ends before the next one's first.
        """
        if len(ranges) == 1:
            return self.decision(ranges[0][1], wide)
        middle = len(ranges) // 2
        above = self.tree(ranges[middle:], wide)
        below = self.tree(ranges[:middle], wide)
        return self.split(ranges[middle][0], above, below)

    def by_number(self, label: int) -> int:
        """Return the label of code that loads the call's number and goes on at `label`."""
        if label != len(self._code):
            self._emit(_JUMP, len(self._code) - label)
        return self._load(_NUMBER)

    def by_architecture(self, labels: list[tuple[int, int]], otherwise: int) -> None:
        """Write the program's start: jump to the code for the architecture, [(AUDIT_ARCH_*, label)]."""
        label = self.result(otherwise)
        for token, code in reversed(labels):
            label = self.branch(_EQUAL, token, code, label)
        self._load(_ARCHITECTURE)

    def split(self, number: int, above: int, below: int) -> int:
        """Return the label of code that goes to `above` for numbers from `number` on, else to `below`."""
        return self.branch(_GREATER_EQUAL, number, above, below)

    def assemble(self) -> bytes:
        """Return struct sock_filter instructions; ValueError when there are more than the kernel takes."""
        if len(self._code) > MAX_INSTRUCTIONS:
            raise ValueError(f"seccomp filter is too long: {len(self._code)} of {MAX_INSTRUCTIONS} instructions")
        return b"".join(struct.pack("=HBBI", *instruction) for instruction in reversed(self._code))


def ranges(
    decisions: Mapping[int, Decision], default: Decision, *, first: int, last: int, beyond: Decision
) -> list[tuple[int, Decision]]:
    """Merge decisions by number into the ranges that `Assembler.tree` takes.

    `default` holds between them from `first` to `last`, `beyond` for every higher number.
    """
    merged: list[tuple[int, Decision]] = []

    def add(start: int, decision: Decision) -> None:
        if not merged or merged[-1][1] != decision:
            merged.append((start, decision))

    following = first
    for number in sorted(decisions):
        if number > following:
            add(following, default)
        add(number, decisions[number])
        following = number + 1
    if following <= last:
        add(following, default)
    add(max(following, last + 1), beyond)
    return merged
