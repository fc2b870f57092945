"""Scripts of the stores: a command a line, its body indented by two spaces; see tests/scripts/<language>/README.md."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One command of a script."""

    line: int
    command: str
    options: str
    query: str
    body: list[str]


def read_script(path: Path, commands: str) -> list[Step]:
    """The steps in order. `commands`: the words that a step may begin with, parted by spaces."""
    command = re.compile(rf"({'|'.join(commands.split())})\b([^:]*?)(?:: (.*))?$")
    steps: list[Step] = []
    for at, line in enumerate(path.read_text().splitlines(), 1):
        if line.startswith("  "):
            steps[-1].body.append(line[2:])
        elif line.strip() and not line.startswith("#"):
            found = command.fullmatch(line)
            assert found, f"{path.name}:{at}: not a command: {line}"
            steps.append(Step(at, found.group(1), found.group(2).strip(), found.group(3) or "", []))
    return steps
