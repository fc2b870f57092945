"""What could not be read, and where: faults are told as file:line:column, counted by cause, the first few shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from obs.errors import UserError
from obs.interchange.limits import SHOWN_FAULTS

SHOWN_TEXT = 60


class Unreadable(Exception):
    """A line or row that is no sample; `column` counts from 1."""

    def __init__(self, thing: str, text: str, cause: str, column: int = 1) -> None:
        super().__init__(thing, text, cause, column)
        self.thing, self.text, self.cause, self.column = thing, text, cause, column


class Faults:
    """Counts what was refused; `tell` is called with each of the first few. Raises at the first where it is strict."""

    def __init__(self, tell: Callable[[str], None], strict: bool = False) -> None:
        self.counts: Counter[str] = Counter()
        self._tell = tell
        self._strict = strict
        self._told = 0

    @property
    def total(self) -> int:
        """Lines and samples refused."""
        return sum(self.counts.values())

    def add(self, file: str, line: int, fault: Unreadable) -> None:
        """One line that cannot be read. Raises: UserError where faults are not forgiven."""
        shown = fault.text if len(fault.text) <= SHOWN_TEXT else fault.text[:SHOWN_TEXT] + "…"
        where = f"{file}:{line}:{fault.column}"
        self._one(f"{where}: cannot read {fault.thing} {shown!r}: {fault.cause}", f"{fault.thing}: {fault.cause}", 1)

    def refused(self, said: str, cause: str, count: int) -> None:
        """Samples that the server did not take. Raises: UserError where faults are not forgiven."""
        self._one(said, cause, count)

    def _one(self, said: str, cause: str, count: int) -> None:
        if self._strict:
            raise UserError(f"{said}; mend it, or leave --strict out to go on with the rest")
        self.counts[cause] += count
        self._told += 1
        if self._told <= SHOWN_FAULTS:
            self._tell(said)
        elif self._told == SHOWN_FAULTS + 1:
            self._tell("more are counted, not shown")
