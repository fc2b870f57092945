"""Where numba keeps a compiled kernel: in a folder named after the state of its sources. Numba imports this by name.

By itself numba looks at the file of the outermost function alone, and at its path. Here a kernel is compiled again when
any file that it is built from changes, and installations of the same sources share what is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from numba import config
from numba.core.caching import UserProvidedCacheLocator

from obs.kernel_sources import digest


class BySources(UserProvidedCacheLocator):  # type: ignore[misc]
    """Source: numba.readthedocs.io, NUMBA_CACHE_LOCATOR_CLASSES."""

    def __init__(self, function: Callable[..., Any], file: str) -> None:
        super().__init__(function, file)
        self._digest = digest(function.__module__)
        self._cache_path = str(Path(config.CACHE_DIR) / f"{function.__module__}-{self._digest}")

    def get_source_stamp(self) -> str:
        """What numba compares with the stamp of what lies there."""
        return self._digest
