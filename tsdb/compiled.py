"""The kernels, if they are compiled. Everything here has a numpy path that serves until then."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy.typing as npt

from obs import warm

KERNELS = "obs.tsdb.kernels"


def kernels() -> ModuleType | None:
    """The module, or None while it is being compiled: numba is never imported by whoever asks."""
    if not warm.ready(KERNELS):
        return None
    from obs.tsdb import kernels as module

    return module


def read_only(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """The same memory as Arrow hands it out: the compiler then has one type of array to compile for, not two."""
    view = array.view()
    view.flags.writeable = False
    return view
