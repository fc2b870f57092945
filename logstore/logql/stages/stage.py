"""What a stage is: syntax made ready to run once, then applied to the rows of every chunk."""

from __future__ import annotations

from typing import Protocol

from obs.logstore.chunks import Rows
from obs.logstore.selection import Requirement


class Runnable(Protocol):
    """One stage of a plan."""

    makes_labels: bool  # whether later labels may come from this stage, so a line filter after it still reads the body

    def apply(self, rows: Rows) -> Rows:
        """The rows that go on to the next stage."""

    def requirements(self) -> tuple[Requirement, ...]:
        """What the filters can say of a row that this stage keeps, provided the line is still the body."""
