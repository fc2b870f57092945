"""Words of eight bytes at any place in memory, for kernels that read bits or copy bytes: the lowest byte comes first.

In: addresses, which the caller keeps in memory with all of a word behind them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from numba import carray, njit, types
from numba.extending import intrinsic


@intrinsic
def load(typing_context: Any, address: Any) -> Any:
    """The word at an address: uint64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], context.get_value_type(types.CPointer(types.uint64)))
        return builder.load(pointer, align=1)

    return types.uint64(types.int64), codegen


@intrinsic
def store(typing_context: Any, address: Any, word: Any) -> Any:
    """Write a word to an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = builder.inttoptr(args[0], context.get_value_type(types.CPointer(types.uint64)))
        builder.store(args[1], pointer, align=1)
        return context.get_dummy_value()

    return types.void(types.int64, types.uint64), codegen


@intrinsic
def zeros_below(typing_context: Any, word: Any) -> Any:
    """How many bits are zero below the lowest that is not: int64."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], context.get_constant(types.boolean, 0))

    return types.int64(types.uint64), codegen


@intrinsic
def _bytes_from(typing_context: Any, address: Any) -> Any:
    """A number as the place of bytes that it is."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.uint8)(types.int64), codegen


@njit(nogil=True, cache=True)
def bytes_at(address: int, length: int) -> npt.NDArray[np.uint8]:
    """So many bytes from an address on."""
    found: npt.NDArray[np.uint8] = carray(_bytes_from(address), length)
    return found
