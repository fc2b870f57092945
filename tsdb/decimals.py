"""Doubles as integers: value = mantissa / 10 ** scale, one scale a series, only where that is this very double.

What does not fit (NaN, infinities, -0.0, more digits) stays a double, row by row. Both ways are exact to the bit:
the quotient of two integers that are doubles is the double nearest to it (IEEE 754, correctly rounded division).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from obs.tsdb.compiled import kernels, read_only
from obs.tsdb.limits import MAX_MANTISSA, MAX_SCALE, MISFITS_SHIFT

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]
I32 = npt.NDArray[np.int32]
Bool = npt.NDArray[np.bool_]

POWERS = 10.0 ** np.arange(MAX_SCALE + 1)


@dataclass(frozen=True, slots=True)
class Scaled:
    """Values of series one after the other: mantissas, and which rows are kept as doubles instead."""

    mantissas: I64
    inexact: Bool | None  # None: no row
    scales: I32  # of each series; -1: all its rows are doubles


def scale(values: F64, offsets: I64) -> Scaled:
    """Series i owns values[offsets[i]:offsets[i + 1]]."""
    fast = kernels()
    if fast is None:
        return scale_plainly(values, offsets)
    values = read_only(values)
    bits, limit = values.view(np.int64), float(MAX_MANTISSA)
    scales = fast.choose_scales(values, bits, offsets, POWERS, limit, MISFITS_SHIFT)
    mantissas, inexact = np.empty(len(values), np.int64), np.zeros(len(values), np.bool_)
    misfits = fast.scale_values(values, bits, offsets, scales, POWERS, limit, mantissas, inexact)
    return Scaled(mantissas, inexact if misfits else None, scales)


def scale_plainly(values: F64, offsets: I64) -> Scaled:
    """The same with numpy alone."""
    counts = np.diff(offsets)
    scales = np.full(len(counts), -1, np.int32)
    mantissas, exact = np.zeros(len(values), np.int64), np.zeros(len(values), np.bool_)
    for digits in range(MAX_SCALE + 1):
        if (scales >= 0).all():
            break
        rows = np.flatnonzero(np.repeat(scales < 0, counts))
        found, fits = _mantissas(values[rows], POWERS[digits])
        misfits = np.zeros(len(values) + 1, np.int64)
        misfits[rows + 1] = ~fits & np.isfinite(values[rows])
        total = np.cumsum(misfits)
        chosen = (scales < 0) & (total[offsets[1:]] - total[offsets[:-1]] <= counts >> MISFITS_SHIFT)
        scales[chosen] = digits
        taken = np.repeat(chosen, counts)[rows]
        mantissas[rows[taken]], exact[rows[taken]] = found[taken], fits[taken]
    return Scaled(mantissas, None if exact.all() else ~exact, scales)


def _mantissas(values: F64, power: float) -> tuple[I64, Bool]:
    """Each value times `power` as an integer, and whether it gives back the very double."""
    with np.errstate(all="ignore"):
        scaled = np.rint(values * power)
        fits = (np.abs(scaled) < MAX_MANTISSA) & np.isfinite(values)
        mantissas = np.where(fits, scaled, 0.0).astype(np.int64)
        fits &= (mantissas / power).view(np.int64) == values.view(np.int64)
    return np.where(fits, mantissas, 0), fits


def to_columns(values: F64, scaled: Scaled) -> tuple[pa.Array, pa.Array]:
    """`value_int` and `value_double`: one of the two in every row."""
    if scaled.inexact is None:
        return pa.array(scaled.mantissas), pa.nulls(len(values), pa.float64())
    return pa.array(scaled.mantissas, mask=scaled.inexact), pa.array(values, mask=~scaled.inexact, from_pandas=False)


def from_columns(ints: pa.ChunkedArray, doubles: pa.ChunkedArray | None, powers: F64 | float) -> F64:
    """The way back; `powers`: ten to the scale of each row, or of all. `doubles` may be None where no int is null."""
    if ints.null_count == 0:
        exact: F64 = ints.to_numpy().astype(np.float64) if _is_one(powers) else ints.to_numpy() / powers
        return exact
    assert doubles is not None
    if ints.null_count == len(ints):
        return _bits_kept(doubles)
    known = ints.is_valid().to_numpy()
    return np.where(known, ints.fill_null(0).to_numpy() / powers, _bits_kept(doubles.fill_null(0.0)))


def _is_one(powers: F64 | float) -> bool:
    return isinstance(powers, float) and powers == 1.0


def _bits_kept(doubles: pa.ChunkedArray) -> F64:
    """A column without nulls as numpy, NaN payloads and all."""
    parts = [np.frombuffer(chunk.buffers()[1], np.float64)[chunk.offset : chunk.offset + len(chunk)]
             for chunk in doubles.chunks if len(chunk)]  # fmt: skip
    return np.concatenate(parts) if parts else np.empty(0)
