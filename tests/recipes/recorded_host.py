"""Unpacks a recorded host: one text file with `@@ /path` before each file's content, into a folder that stands for `/`.

`@> /path target` makes a symbolic link (namespaces are links such as `net:[4026531840]`).
"""

from __future__ import annotations

from pathlib import Path


def unpack_host(recording: Path, root: Path) -> Path:
    """The files of `recording` below `root`."""
    current: Path | None = None
    lines: list[str] = []
    for line in [*recording.read_text().splitlines(keepends=True), "@@ /end\n"]:
        if line.startswith(("@@ ", "@> ")) and current is not None:
            current.parent.mkdir(parents=True, exist_ok=True)
            current.write_text("".join(lines))
            current, lines = None, []
        if line.startswith("@@ "):
            current = root / line[3:].strip().lstrip("/")
        elif line.startswith("@> "):
            path, target = line[3:].split()
            link = root / path.lstrip("/")
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(target)
        elif current is not None:
            lines.append(line)
    return root
