"""What one line of a file is: plain text, Docker's json-file, or the CRI format that Podman and Kubernetes write.

The format is sniffed: runtimes write CRI lines where their configuration says json-file. Pure.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from obs.agent.logs.timestamps import iso_to_ns

_CRI = re.compile(rb"(\d{4}-\d\d-\d\dT[0-9:.]+(?:Z|[+-]\d\d:\d\d)) (stdout|stderr) ([FP])(?::\S*)? ?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Piece:
    """A line, or a part of one: `ends` is false where the runtime split it and more will follow."""

    text: str
    stream: str = ""
    time_ns: int | None = None
    ends: bool = True


def sniff(line: bytes) -> str:
    """`json-file`, `cri` or `plain`, by the first complete line of a file."""
    if _CRI.match(line):
        return "cri"
    if line.startswith(b'{"log":') and _json_piece(line) is not None:
        return "json-file"
    return "plain"


def decode(form: str, line: bytes) -> Piece:
    """One line in the file's format; a line that does not fit it is taken as plain text, never dropped."""
    piece = None
    if form == "cri":
        piece = _cri_piece(line)
    elif form == "json-file":
        piece = _json_piece(line)
    return piece or Piece(line.decode("utf-8", "replace"))


def _cri_piece(line: bytes) -> Piece | None:
    found = _CRI.match(line)
    if found is None:
        return None
    text = line[found.end() :].decode("utf-8", "replace")
    return Piece(text, found[2].decode(), iso_to_ns(found[1].decode()), found[3] == b"F")


def _json_piece(line: bytes) -> Piece | None:
    try:
        value = json.loads(line)
        text, stream, when = value["log"], value.get("stream", ""), value["time"]
        return Piece(text.removesuffix("\n"), stream, iso_to_ns(when), text.endswith("\n"))
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
