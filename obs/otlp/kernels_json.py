"""AnyValue to JSON text in kernels, letter for letter as `obs.otlp.values` writes it.

Each writer reads `buf[at:stop]`, writes from `buf[to]` on, and returns where the text ends, or why it stopped:
TOO_HARD (Python writes this cell: long doubles, equal keys, deep nesting, invalid UTF-8), BROKEN, NO_ROOM.
`t` is the memory of the texts, laid out below.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np

from obs.otlp.kernels_wire import (
    FULL,
    I64,
    LEN,
    MALFORMED,
    OK,
    RARE,
    VARINT,
    bits_to_f64,
    fixed64,
    hash_bytes,
    inlined,
    inner,
    is_utf8,
    length,
    skip,
    tag,
    varint,
)

BROKEN, TOO_HARD, NO_ROOM = -1, -2, -3
MAX_DEPTH = 16
MAX_KEYS = 64
"""Pairs of one object whose keys are compared here."""

# The memory of the texts, int64[]: where the next JSON begins in buf; how many cells are left to Python; for each
# depth the hashes of the keys so far; a stack of (at, end, field, count); the cells (kind, index, start, stop).
JSON_AT, N_HARD = 0, 1
_KEYS = 8
_STACK = _KEYS + MAX_KEYS * (MAX_DEPTH + 1)
HARD = _STACK + 4 * (MAX_DEPTH + 2)
ROOM = 64

_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
_BASE64 = np.frombuffer(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", np.uint8)
_ESCAPES = np.zeros(128, np.uint8)
for _char, _short in zip(b'\b\t\n\f\r"\\', b'btnfr"\\', strict=True):
    _ESCAPES[_char] = _short
_OUTER, _ONE = np.int64(0), np.int64(1)
_NULL, _TRUE, _FALSE, _NAN, _INF, _MINUS_INF = np.arange(6)
_WORDS = np.frombuffer(b'null       true       false      "NaN"      "Infinity" "-Infinity"', np.uint8)
_WORD_SIZES = np.array([4, 4, 5, 5, 10, 11], np.int64)
_POWERS = np.array([10.0**k for k in range(23)])


@inner
def note_hard(t, kind, index, at, stop):
    """List a cell for Python; returns a code."""
    place = HARD + 4 * t[N_HARD]
    if place + 4 > t.size:
        return FULL
    t[place], t[place + 1], t[place + 2], t[place + 3] = kind, index, at, stop
    t[N_HARD] += 1
    return OK


@inner
def disown_hard(t, since):
    """The cells listed since then are of a refused item: Python only looks whether they are malformed."""
    for place in range(HARD + 4 * since, HARD + 4 * t[N_HARD], 4):
        t[place + 1] = -1


@inner
def json_code(stopped):
    """The walk's code for a writer's reason to stop."""
    return MALFORMED if stopped == BROKEN else FULL if stopped == NO_ROOM else RARE


@inner
def _write_word(buf, to, word):
    for i in range(_WORD_SIZES[word]):
        buf[to + i] = _WORDS[11 * word + i]
    return to + _WORD_SIZES[word]


@inner
def _write_text(buf, at, stop, to):
    """A JSON string; only quotes, backslashes and control characters are escaped."""
    if 6 * (stop - at) + ROOM > buf.size - to:
        return np.int64(NO_ROOM)
    if not is_utf8(buf, at, stop):
        return np.int64(TOO_HARD)
    buf[to] = 34
    to += 1
    for i in range(at, stop):
        char = buf[i]
        if char >= 32 and char != 34 and char != 92:
            buf[to] = char
            to += 1
            continue
        buf[to] = 92
        if _ESCAPES[char] != 0:
            buf[to + 1] = _ESCAPES[char]
            to += 2
        else:
            buf[to + 1], buf[to + 2], buf[to + 3] = 117, 48, 48
            buf[to + 4], buf[to + 5] = _HEX[char >> 4], _HEX[char & 15]
            to += 6
    buf[to] = 34
    return np.int64(to + 1)


@inner
def _write_digits(buf, to, number, least):
    """An unsigned number, padded with zeros to at least `least` digits."""
    rest = number
    size = 0
    while rest > np.uint64(0):
        rest //= np.uint64(10)
        size += 1
    size = max(size, least)
    for i in range(size):
        buf[to + size - 1 - i] = np.uint8(np.uint64(48) + number % np.uint64(10))
        number //= np.uint64(10)
    return to + size


@inner
def _write_int(buf, to, number):
    if number < 0:
        buf[to] = 45
        return _write_digits(buf, to + 1, ~np.uint64(number) + np.uint64(1), _ONE)
    return _write_digits(buf, to, np.uint64(number), _ONE)


@inner
def _write_double(buf, to, bits):
    """A double of at most 15 digits that needs no exponent, as Python's `repr`; the rest are TOO_HARD.

    A decimal of up to 15 digits that divides back to the very double is its shortest form.
    """
    number = bits_to_f64(bits)
    if number != number:
        return _write_word(buf, to, _NAN)
    if np.isinf(number):
        return _write_word(buf, to, _INF if number > 0 else _MINUS_INF)
    size = abs(number)
    if size >= 1e15 or (size < 1e-4 and size != 0):
        return np.int64(TOO_HARD)
    for places in range(16):
        scaled = np.rint(size * _POWERS[places])
        if scaled >= 1e15:
            break
        if scaled / _POWERS[places] == size:
            if bits < 0:
                buf[to] = 45
                to += 1
            return _write_decimal(buf, to, np.uint64(scaled), np.int64(places))
    return np.int64(TOO_HARD)


@inner
def _write_decimal(buf, to, digits, places):
    if places == 0:
        to = _write_digits(buf, to, digits, _ONE)
        buf[to], buf[to + 1] = 46, 48
        return to + 2
    unit = np.uint64(1)
    for _ in range(places):
        unit *= np.uint64(10)
    to = _write_digits(buf, to, digits // unit, _ONE)
    buf[to] = 46
    return _write_digits(buf, to + 1, digits % unit, places)


@inner
def _write_base64(buf, at, stop, to):
    """Bytes as a JSON string in base64. Source: RFC 4648, section 4."""
    if 2 * (stop - at) + ROOM > buf.size - to:
        return np.int64(NO_ROOM)
    buf[to] = 34
    to += 1
    while at < stop:
        count = min(3, stop - at)
        word = np.int64(0)
        for i in range(3):
            word = word << 8 | (np.int64(buf[at + i]) if i < count else np.int64(0))
        for i in range(4):
            buf[to + i] = _BASE64[word >> (18 - 6 * i) & 63] if i <= count else 61
        to += 4
        at += 3
    buf[to] = 34
    return np.int64(to + 1)


@inlined
def find_value(buf, at, stop):
    """(field, first, second) of an AnyValue's one value; field 0: none; TOO_HARD: several.

    `first` and `second` bound texts, bytes, arrays and maps; of numbers `second` holds the bits.
    """
    field, first, second, seen = np.int64(0), np.int64(0), np.int64(0), 0
    while at < stop:
        number, wire, at = tag(buf, at, stop)
        if at < 0:
            return np.int64(BROKEN), first, second
        known = True
        if wire == LEN and (number == 1 or number == 5 or number == 6 or number == 7):
            first, at = length(buf, at, stop)
            second = at
        elif wire == VARINT and (number == 2 or number == 3):
            second, at = varint(buf, at, stop)
        elif wire == I64 and number == 4:
            second, at = fixed64(buf, at, stop)
        else:
            at = skip(buf, at, stop, wire)
            known = False
        if at < 0:
            return np.int64(BROKEN), first, second
        if known:
            field = number
            seen += 1
    return (field if seen <= 1 else np.int64(TOO_HARD)), first, second


@inlined
def find_pair(buf, at, stop):
    """(key start, key stop, value start, value stop) of a KeyValue; key start below 0: as the writers."""
    key, key_stop, value, value_stop, found = at, at, at, at, 0
    while at < stop:
        number, wire, at = tag(buf, at, stop)
        if at < 0:
            return np.int64(BROKEN), key_stop, value, value_stop
        if number == 1 and wire == LEN:
            key, key_stop = length(buf, at, stop)
            at = key_stop
        elif number == 2 and wire == LEN:
            value, value_stop = length(buf, at, stop)
            at = value_stop
            found += 1
        else:
            at = skip(buf, at, stop, wire)
        if at < 0:
            return np.int64(BROKEN), key_stop, value, value_stop
    return (key if found <= 1 else np.int64(TOO_HARD)), key_stop, value, value_stop


@inner
def _write_key(buf, at, stop, to, t, depth, count):
    """A key and its colon, after a comma where `count` pairs stand already."""
    if count >= MAX_KEYS:
        return np.int64(TOO_HARD)
    own = np.int64(hash_bytes(buf, at, stop, np.uint64(1)))
    first = _KEYS + depth * MAX_KEYS
    for i in range(first, first + count):
        if t[i] == own:
            return np.int64(TOO_HARD)
    t[first + count] = own
    if count:
        buf[to] = 44
        to += 1
    to = _write_text(buf, at, stop, to)
    if to >= 0:
        buf[to] = 58
        to += 1
    return to


@inner
def _write_scalar(field, first, second, buf, to):
    """A value that holds no other; `field` as `find_value` gives it."""
    if field == 1:
        return _write_text(buf, first, second, to)
    if field == 2:
        return _write_word(buf, to, _TRUE if second else _FALSE)
    if field == 3:
        return _write_int(buf, to, second)
    if field == 4:
        return _write_double(buf, to, second)
    if field == 7:
        return _write_base64(buf, first, second, to)
    return _write_word(buf, to, _NULL)


@inner
def _next_item(buf, at, end):
    """(start, next) of the next field 1 of an array or map; start TOO_HARD: there is none left; BROKEN."""
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return np.int64(BROKEN), at
        if number == 1 and wire == LEN:
            start, at = length(buf, at, end)
            return (start if at >= 0 else np.int64(BROKEN)), at
        at = skip(buf, at, end, wire)
        if at < 0:
            return np.int64(BROKEN), at
    return np.int64(TOO_HARD), at


@inner
def write_value(buf, at, stop, to, t, depth):
    """An AnyValue, `depth` levels below the outermost; arrays and maps by a stack, not by recursion."""
    level = 0
    while True:
        if buf.size - to < ROOM:
            return np.int64(NO_ROOM)
        field, first, second = find_value(buf, at, stop)
        if field < 0:
            return field
        if field == 5 or field == 6:
            if depth + level >= MAX_DEPTH:
                return np.int64(TOO_HARD)
            buf[to] = 91 if field == 5 else 123
            to += 1
            level += 1
            top = _STACK + 4 * level
            t[top], t[top + 1], t[top + 2], t[top + 3] = first, second, field, 0
        else:
            to = _write_scalar(field, first, second, buf, to)
        while level > 0 and to >= 0:
            top = _STACK + 4 * level
            at, after = _next_item(buf, t[top], t[top + 1])
            if at == BROKEN or buf.size - to < ROOM:
                return np.int64(BROKEN if at == BROKEN else NO_ROOM)
            if at >= 0:
                break
            buf[to] = 93 if t[top + 2] == 5 else 125
            to += 1
            level -= 1
        if to < 0 or level == 0:
            return to
        stop = after
        if t[top + 2] == 6:
            key, key_stop, at, stop = find_pair(buf, at, after)
            to = _write_key(buf, key, key_stop, to, t, depth + level - 1, t[top + 3]) if key >= 0 else key
        elif t[top + 3]:
            buf[to] = 44
            to += 1
        if to < 0:
            return to
        t[top] = after
        t[top + 3] += 1


@inner
def write_object(buf, at, end, number, t):
    """The attributes (field `number`) of the message at `at` as a JSON object, at the end of the texts."""
    to = t[JSON_AT]
    if buf.size - to < ROOM:
        return np.int64(NO_ROOM)
    buf[to] = 123
    to += 1
    count = np.int64(0)
    while at < end:
        found, wire, at = tag(buf, at, end)
        if at < 0:
            return np.int64(BROKEN)
        if found != number or wire != LEN:
            at = skip(buf, at, end, wire)
        else:
            start, at = length(buf, at, end)
            if at >= 0:
                key, key_stop, value, stop = find_pair(buf, start, at)
                to = _write_key(buf, key, key_stop, to, t, _OUTER, count) if key >= 0 else key
                to = write_value(buf, value, stop, to, t, _OUTER + 1) if to >= 0 else to
                count += 1
        if at < 0:
            return np.int64(BROKEN)
        if to < 0:
            return to
    if buf.size - to < ROOM:
        return np.int64(NO_ROOM)
    buf[to] = 125
    return to + 1


@inner
def keep_object(buf, at, end, number, t, kind, index, ranges, field):
    """`write_object`, its range kept in ranges[field:field + 2, index]; returns a code."""
    start = t[JSON_AT]
    stop = write_object(buf, at, end, number, t)
    return keep_text(t, start, stop, kind, index, at, end, ranges, field)


@inner
def keep_text(t, start, stop, kind, index, at, end, ranges, field):
    """Keep the range of a text just written, or leave its cell to Python; returns a code."""
    if stop == TOO_HARD:
        ranges[field, index] = ranges[field + 1, index] = start
        return note_hard(t, kind, index, at, end)
    if stop < 0:
        return json_code(stop)
    t[JSON_AT] = stop
    ranges[field, index], ranges[field + 1, index] = start, stop
    return OK
