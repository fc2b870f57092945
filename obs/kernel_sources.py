"""The state of kernels' sources, as a digest: compiled kernels are kept under it, so that any change makes new ones.

In: the name of a module that holds kernels, or calls them to have them compiled. Out: a digest of all that their
machine code depends on. Other rooms' kernels, the place of the installation and the version of obs are not part of it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import re
import sys
from pathlib import Path

import obs

_IMPORT = re.compile(r"^from (obs\.[\w.]+) import", re.MULTILINE)


@functools.cache
def digest(module: str) -> str:
    """Of the module, the kernels beside it, the modules of obs that those import (to the last), and the compiler."""
    found = hashlib.blake2b(f"{importlib.metadata.version('numba')} {sys.version}".encode(), digest_size=8)
    package = module.rpartition(".")[0]
    kernels = [f"{package}.{path.stem}" for path in sorted(_path(module).parent.glob("kernels*.py"))]
    for name in sorted({module, *_with_imports(kernels)}):
        found.update(name.encode() + b"\0" + _path(name).read_bytes())
    return found.hexdigest()


def _with_imports(modules: list[str]) -> set[str]:
    seen: set[str] = set()
    todo = list(modules)
    while todo:
        module = todo.pop()
        if module not in seen and _path(module).is_file():
            seen.add(module)
            todo += _IMPORT.findall(_path(module).read_text())
    return seen


def _path(module: str) -> Path:
    parts = module.split(".")[1:]
    paths = [Path(root, *parts).with_suffix(".py") for root in obs.__path__]
    return next((path for path in paths if path.is_file()), paths[0])
