"""Reading protobuf's wire bytes in kernels: numbers, fields to skip, text to hash, compare, check and copy.

Every reader takes `(buf, at, end)` and returns where it stopped; -1 says that the bytes are malformed there. 64-bit
numbers are int64 throughout, whatever they mean: a uint64 past 2**63 is negative, a double is its bits.
Source: protobuf.dev/programming-guides/encoding.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir  # type: ignore[import-untyped]
from numba import njit, types
from numba.extending import intrinsic

VARINT, I64, LEN, I32 = 0, 1, 2, 5
OK, MALFORMED, RARE, FULL = 0, 1, 2, 3
"""What a walk returns: done; let the slow path say where; let the slow path do it; again with larger arrays."""

kernel = njit(nogil=True, cache=True, _nrt=False)
"""A kernel that allocates nothing: without reference counts, which would cost more than the reading itself."""

inner = njit(cache=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True)
"""The same where only kernels call it: without a way in from Python it compiles sooner."""

inlined = njit(cache=True, _nrt=False, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True)
"""The same for the few lines that every field runs through."""

_HIGH_BITS = np.uint64(0x8080808080808080)
_MIX = np.uint64(0x9E3779B97F4A7C15)
_MIX2 = np.uint64(0xD6E8FEB86659FD93)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any, bits: int) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), ir.IntType(bits).as_pointer())


def _loader(bits: int, result: Any) -> Any:
    @intrinsic
    def load(typing_context: Any, array: Any, index: Any) -> Any:
        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            value = builder.load(_pointer(context, builder, signature.args[0], args[0], args[1], bits))
            value.align = 1
            return value

        return result(array, types.int64), codegen

    return load


load_u64 = _loader(64, types.uint64)
load_i64 = _loader(64, types.int64)
load_u32 = _loader(32, types.uint32)


@intrinsic
def store_u64(typing_context: Any, array: Any, index: Any, value: Any) -> Any:
    """Write eight bytes anywhere."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        store = builder.store(args[2], _pointer(context, builder, signature.args[0], args[0], args[1], 64))
        store.align = 1
        return context.get_dummy_value()

    return types.void(array, types.int64, types.uint64), codegen


@intrinsic
def bits_to_f64(typing_context: Any, bits: Any) -> Any:
    """The double of these bits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.DoubleType())

    return types.float64(types.int64), codegen


@intrinsic
def f64_to_bits(typing_context: Any, number: Any) -> Any:
    """The bits of this double."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bitcast(args[0], ir.IntType(64))

    return types.int64(types.float64), codegen


@inner
def _long_varint(buf, at, end):
    value, shift = np.int64(0), np.int64(0)
    last = min(end, at + 10)
    while at < last:
        byte = np.int64(buf[at])
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, (-1 if shift == 63 and byte > 1 else at)
        shift += 7
    return value, -1


@inlined
def varint(buf, at, end):
    """(value, next): a base-128 number of up to 64 bits."""
    if at < end and buf[at] < 128:
        return np.int64(buf[at]), at + 1
    return _long_varint(buf, at, end)


@inlined
def tag(buf, at, end):
    """(field number, wire type, next); groups are -1 too: nobody sends them, the slow path reads them."""
    value, after = varint(buf, at, end)
    number, wire = value >> 3, value & 7
    if number <= 0 or number >= 1 << 29 or wire == 3 or wire == 4 or wire > 5:
        return number, wire, -1
    return number, wire, after


@inlined
def length(buf, at, end):
    """(start, stop) of a length-delimited field's bytes; stop is -1 where they are cut off."""
    size, after = varint(buf, at, end)
    if after < 0 or size < 0 or size > end - after:
        return after, -1
    return after, after + size


@inlined
def skip(buf, at, end, wire):
    """Past a field's value."""
    if wire == VARINT:
        return varint(buf, at, end)[1]
    if wire == LEN:
        return length(buf, at, end)[1]
    width = 8 if wire == I64 else 4
    return at + width if end - at >= width else -1


@inlined
def fixed64(buf, at, end):
    """(value, next)."""
    if end - at < 8:
        return np.int64(0), -1
    return load_i64(buf, at), at + 8


@inlined
def fixed32(buf, at, end):
    """(value, next)."""
    if end - at < 4:
        return np.int64(0), -1
    return np.int64(load_u32(buf, at)), at + 4


@inlined
def tail_word(buf, at, count):
    """The last `count` < 8 bytes of a text as a word, never reading past the buffer."""
    if at + 8 <= buf.size:
        return load_u64(buf, at) & ((np.uint64(1) << np.uint64(8 * count)) - np.uint64(1))
    word = np.uint64(0)
    for i in range(count):
        word |= np.uint64(buf[at + i]) << np.uint64(8 * i)
    return word


@inlined
def mix(a, b):
    """Fold a word into a hash."""
    a = (a ^ b) * _MIX
    return a ^ (a >> np.uint64(29))


@inlined
def mix2(a, b):
    """Fold a word into the other half of a 128-bit hash."""
    a = (a ^ (b * _MIX2)) * _MIX
    return (a << np.uint64(31)) | (a >> np.uint64(33))


@inner
def hash_bytes(buf, at, stop, seed):
    """A 64-bit hash of a text."""
    h = mix(seed, np.uint64(stop - at))
    while stop - at >= 8:
        h = mix(h, load_u64(buf, at))
        at += 8
    return mix(h, tail_word(buf, at, stop - at))


@inner
def hash_more(buf, at, stop, h1, h2):
    """Both halves of a 128-bit hash, with a text folded in."""
    h1, h2 = mix(h1, np.uint64(stop - at)), mix2(h2, np.uint64(stop - at))
    while stop - at >= 8:
        word = load_u64(buf, at)
        h1, h2 = mix(h1, word), mix2(h2, word)
        at += 8
    word = tail_word(buf, at, stop - at)
    return mix(h1, word), mix2(h2, word)


@inner
def same_bytes(buf, a, b, size):
    """Whether two texts of one size are equal."""
    while size >= 8:
        if load_u64(buf, a) != load_u64(buf, b):
            return False
        a += 8
        b += 8
        size -= 8
    return tail_word(buf, a, size) == tail_word(buf, b, size)


@inner
def copy_text(buf, at, stop, out, to):
    """Copy a text; returns whether it is valid UTF-8. `out` needs eight spare bytes at its end."""
    high = np.uint64(0)
    start = at
    while stop - at >= 8:
        word = load_u64(buf, at)
        high |= word
        store_u64(out, to, word)
        at += 8
        to += 8
    word = tail_word(buf, at, stop - at)
    store_u64(out, to, word)
    if (high | word) & _HIGH_BITS == np.uint64(0):
        return True
    return is_utf8(buf, start, stop)


@inner
def is_utf8(buf, at, stop):
    """Whether a text is valid UTF-8. Source: RFC 3629, section 4."""
    while at < stop:
        if stop - at >= 8 and load_u64(buf, at) & _HIGH_BITS == np.uint64(0):
            at += 8
            continue
        lead = np.int64(buf[at])
        at += 1
        if lead < 0x80:
            continue
        low, high = 0x80, 0xBF
        if 0xC2 <= lead <= 0xDF:
            more = 1
        elif 0xE0 <= lead <= 0xEF:
            more = 2
            low = 0xA0 if lead == 0xE0 else low
            high = 0x9F if lead == 0xED else high
        elif 0xF0 <= lead <= 0xF4:
            more = 3
            low = 0x90 if lead == 0xF0 else low
            high = 0x8F if lead == 0xF4 else high
        else:
            return False
        if stop - at < more or buf[at] < low or buf[at] > high:
            return False
        for i in range(1, more):
            if buf[at + i] & 0xC0 != 0x80:
                return False
        at += more
    return True


@inlined
def id_word(buf, at, stop, size, word):
    """One word of an id of `size` bytes; 0 where the length is another."""
    return load_i64(buf, at + 8 * word) if stop - at == size else np.int64(0)


@inlined
def small_enum(bits, most):
    """An enum's value where it is one of 0 … most, else 0."""
    value = bits & 0xFFFFFFFF
    return value if value <= most else np.int64(0)
