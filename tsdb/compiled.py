"""The kernels, if they are compiled. Everything here has a numpy path that serves until then."""

from __future__ import annotations

from types import ModuleType

from obs import warm

KERNELS = "obs.tsdb.kernels"


def kernels() -> ModuleType | None:
    """The module, or None while it is being compiled: numba is never imported by whoever asks."""
    if not warm.ready(KERNELS):
        return None
    from obs.tsdb import kernels as module

    return module
