"""Programs of Debian packages that are unpacked, not installed; a test without one is skipped and says so."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest


def program(name: str, package: str) -> Path:
    """The path of a program; skips the test where there is none."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"no {name} on PATH: unpack Debian's package {package} and add it, as ./dev test does")
    return Path(found)


def libraries(of: Path) -> dict[str, str]:
    """The environment in which an unpacked program finds the libraries that were unpacked beside it."""
    folders = sorted(str(path) for path in (of.parent.parent / "lib").glob("*-linux-gnu"))
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders)}
