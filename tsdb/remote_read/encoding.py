"""Many runs of rows → the bytes of each, by kernels where they are compiled, else in plain Python."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from obs import warm
from obs.tsdb.remote_read import xor

I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]

KERNELS = "obs.tsdb.remote_read.kernels"

Plain = Callable[[Sequence[int], Sequence[int]], bytes]


def chunks(starts: I64, stops: I64, t_ms: I64, values: F64) -> list[bytes]:
    """The XOR chunk of rows starts[k]:stops[k], which are some and at most 65,535, for each k."""
    if not warm.ready(KERNELS):
        return _plainly(xor.encode_chunk, starts, stops, t_ms, values)
    from obs.tsdb.remote_read import kernels

    room = kernels.CHUNK_ROOM * len(starts) + kernels.CHUNK_SAMPLE_ROOM * int((stops - starts).sum())
    out, ends = np.zeros(room, np.uint8), np.empty(len(starts), np.int64)
    kernels.encode_chunks(out, ends, *_typed(starts, stops, t_ms, values))
    return _pieces(out, ends)


def samples(starts: I64, stops: I64, t_ms: I64, values: F64) -> list[bytes]:
    """Rows starts[k]:stops[k] as `repeated Sample samples = 2`, for each k."""
    if not warm.ready(KERNELS):
        return _plainly(xor.encode_samples, starts, stops, t_ms, values)
    from obs.tsdb.remote_read import kernels

    room = kernels.SAMPLE_ROOM * int((stops - starts).sum())
    out, ends = np.empty(room, np.uint8), np.empty(len(starts), np.int64)
    kernels.encode_samples(out, ends, *_typed(starts, stops, t_ms, values))
    return _pieces(out, ends)


def _typed(starts: I64, stops: I64, t_ms: I64, values: F64) -> tuple[npt.NDArray[np.generic], ...]:
    """One type of array to compile for: contiguous, and writable as numba sees it."""
    given = (starts, stops, t_ms, values.view(np.uint64))
    return tuple(a if a.flags.c_contiguous and a.flags.writeable else a.copy() for a in given)


def _pieces(out: npt.NDArray[np.uint8], ends: I64) -> list[bytes]:
    at, found = 0, []
    for end in ends.tolist():
        found.append(out[at:end].tobytes())
        at = end
    return found


def _plainly(encode: Plain, starts: I64, stops: I64, t_ms: I64, values: F64) -> list[bytes]:
    times, bits = t_ms.tolist(), values.view(np.int64).tolist()
    return [encode(times[a:b], bits[a:b]) for a, b in zip(starts.tolist(), stops.tolist(), strict=True)]
