"""Data points: each to a slot of the series cache, found by a 128-bit hash of its raw identity, and its values.

A point's identity is the bytes of its resource, scope, metric (name, unit, kind, temporality) and attributes, and
what decides its layout (bounds, quantiles, whether there is a sum). `walk_points` lists points and values; Python
gives slots to identities that are new; `emit` then writes the samples. The layout is that of `obs.otlp.points`.
Source: opentelemetry/proto/metrics/v1/metrics.proto.
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np

from obs.otlp.kernels_outline import AT, GROUP, SCOPED, STOP, URL_AT, URL_STOP
from obs.otlp.kernels_spans import R_TIME, REASONS
from obs.otlp.kernels_wire import (
    FULL,
    I64,
    LEN,
    MALFORMED,
    OK,
    RARE,
    VARINT,
    bits_to_f64,
    f64_to_bits,
    fixed64,
    hash_more,
    inlined,
    inner,
    kernel,
    length,
    load_i64,
    mix,
    mix2,
    skip,
    tag,
    varint,
)

R_NAME, R_TEMPORALITY, R_NO_VALUE, R_HISTOGRAM = 5, 6, 7, 8
GAUGE, SUM, HISTOGRAM, EXPONENTIAL, SUMMARY = 5, 7, 9, 10, 11
"""Field numbers of a metric's data, which name its kind."""
_DELTA, _CUMULATIVE = 1, 2
_STALE = 0x7FF0000000000002

N_POINTS, N_VALUES, N_SAMPLES, N_USED, N_STARTS, N_BEGUN = 0, 1, 2, 3, 4, 5
(
    P_SLOT, P_H1, P_H2, P_AT, P_STOP, P_METRIC, P_GROUP, P_TIME, P_VALUES, P_COUNT, P_FLAGS, P_START, POINT_FIELDS
) = range(13)  # fmt: skip
HAS_EXEMPLARS, IS_DELTA, IS_STALE, FOR_PYTHON, IS_NEWS = 1, 2, 4, 8, 16
(M_KIND, M_H1, M_H2, M_SLOT, M_TAKEN, METRIC_FIELDS) = range(6)
(G_H1, G_H2, G_SLOT, GROUP_FIELDS) = range(4)
S_FIRST, S_COUNT, S_STATE, S_START, S_SINCE, S_UNTIL = range(6)
PENDING, STORED = 0, 1
"""States of a slot; a negative one is a reason to refuse its points."""

# What a point says, gathered in int64[POINT_MEMORY + bounds + counts].
(
    _TIME, _VALUE, _HAS_VALUE, _COUNT, _SUM, _HAS_SUM, _FLAGS, _EXEMPLARS, _BOUNDS, _COUNTS, _START, POINT_MEMORY
) = range(12)  # fmt: skip
_ATTRIBUTES = np.array([0, 0, 0, 0, 0, 7, 0, 7, 0, 9, 1, 7], np.int64)  # by kind, the field of a point's attributes
_EXEMPLAR_FIELDS = np.array([0, 0, 0, 0, 0, 5, 0, 5, 0, 8, 11, -1], np.int64)


@inner
def find_slot(table, h1, h2):
    """The slot of an identity, or -1."""
    mask = table.shape[0] - 1
    place = (h1 ^ (h1 >> 32)) & mask
    while table[place, 2] != 0:
        if table[place, 0] == h1 and table[place, 1] == h2:
            return table[place, 2] - 1
        place = (place + 1) & mask
    return np.int64(-1)


@kernel
def rehash(old, new):
    """Enter all of one table into another."""
    mask = new.shape[0] - 1
    for i in range(old.shape[0]):
        if old[i, 2] != 0:
            place = (old[i, 0] ^ (old[i, 0] >> 32)) & mask
            while new[place, 2] != 0:
                place = (place + 1) & mask
            for field in range(3):
                new[place, field] = old[i, field]


@inlined
def _float_bits(count):
    return f64_to_bits(np.float64(np.uint64(count)))


@inner
def _append_packed(buf, start, stop, m, to, where, room):
    """Append packed 64-bit values to those from `m[to]` on, which `m[where]` counts; returns a code."""
    more = (stop - start) // 8
    if (stop - start) % 8:
        return MALFORMED
    if m[where] + more > room:
        return FULL
    for i in range(more):
        m[to + m[where] + i] = load_i64(buf, start + 8 * i)
    m[where] += more
    return OK


@inner
def _read_point(buf, at, end, kind, m, room, h1, h2):
    """Gather a point's fields in `m`, its bounds at POINT_MEMORY, its counts `room` later.

    Returns (code, h1, h2): the hash with its attributes folded in.
    """
    for field in range(POINT_MEMORY):
        m[field] = 0
    bounds, counts = POINT_MEMORY, POINT_MEMORY + room
    attributes = _ATTRIBUTES[kind]
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return MALFORMED, h1, h2
        if wire == I64:
            value, at = fixed64(buf, at, end)
            if number == 3:
                m[_TIME] = value
            elif number == 2:
                m[_START] = value
            elif kind == GAUGE or kind == SUM:
                if number == 4:
                    m[_VALUE], m[_HAS_VALUE] = value, 1
                elif number == 6:
                    m[_VALUE], m[_HAS_VALUE] = f64_to_bits(np.float64(value)), 1
            elif number == 4:
                m[_COUNT] = value
            elif number == 5:
                m[_SUM], m[_HAS_SUM] = value, 1
            elif kind == HISTOGRAM and (number == 6 or number == 7) and at >= 0:
                where = _COUNTS if number == 6 else _BOUNDS
                if m[where] >= room:
                    return FULL, h1, h2
                m[(counts if number == 6 else bounds) + m[where]] = value
                m[where] += 1
        elif wire == LEN:
            start, at = length(buf, at, end)
            if at < 0:
                return MALFORMED, h1, h2
            if number == attributes:
                h1, h2 = hash_more(buf, start, at, h1, h2)
            elif kind == HISTOGRAM and (number == 6 or number == 7):
                to, where = (counts, _COUNTS) if number == 6 else (bounds, _BOUNDS)
                code = _append_packed(buf, start, at, m, to, where, room)
                if code != OK:
                    return code, h1, h2
            elif kind == SUMMARY and number == 6:
                if m[_BOUNDS] >= room:
                    return FULL, h1, h2
                if not _read_quantile(buf, start, at, m, bounds + m[_BOUNDS], counts + m[_BOUNDS]):
                    return MALFORMED, h1, h2
                m[_BOUNDS] += 1
            elif number == _EXEMPLAR_FIELDS[kind]:
                m[_EXEMPLARS] = 1
        elif wire == VARINT:
            value, at = varint(buf, at, end)
            if number == (10 if kind == HISTOGRAM or kind == EXPONENTIAL else 8):
                m[_FLAGS] = value
        else:
            at = skip(buf, at, end, wire)
        if at < 0:
            return MALFORMED, h1, h2
    return OK, h1, h2


@inner
def _read_quantile(buf, at, end, m, quantile_at, value_at):
    """A ValueAtQuantile; False where it is malformed."""
    m[quantile_at] = m[value_at] = 0
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return False
        if wire == I64:
            bits, at = fixed64(buf, at, end)
            if number == 1:
                m[quantile_at] = bits
            elif number == 2:
                m[value_at] = bits
        else:
            at = skip(buf, at, end, wire)
        if at < 0:
            return False
    return True


@inner
def _histogram_fault(m, room, stale):
    """Whether bounds do not rise, or the counts fit neither them nor the total."""
    bounds = m[_BOUNDS]
    for i in range(bounds):
        bound = bits_to_f64(m[POINT_MEMORY + i])
        if not np.isfinite(bound) or (i and not bits_to_f64(m[POINT_MEMORY + i - 1]) < bound):
            return True
    if stale or (m[_COUNTS] == 0 and bounds == 0):
        return False
    if m[_COUNTS] != bounds + 1:
        return True
    total = np.uint64(0)
    for i in range(m[_COUNTS]):
        more = total + np.uint64(m[POINT_MEMORY + room + i])
        if more < total:
            return True
        total = more
    return total != np.uint64(m[_COUNT])


@inner
def _fault(kind, m, room):
    """The reason to refuse a point, or 0."""
    stale = m[_FLAGS] & 1
    if m[_TIME] < 0:
        return R_TIME
    if kind == GAUGE or kind == SUM:
        return 0 if stale or m[_HAS_VALUE] else R_NO_VALUE
    if kind == HISTOGRAM and _histogram_fault(m, room, stale):
        return R_HISTOGRAM
    return 0


@inner
def _write_values(kind, m, room, values, to):
    """The values of a point without fault, in the order of its layout; where they end."""
    if kind == GAUGE or kind == SUM:
        values[to] = _STALE if m[_FLAGS] & 1 else m[_VALUE]
        return to + 1
    first = to
    if kind == SUMMARY:
        for i in range(m[_BOUNDS]):
            values[to] = m[POINT_MEMORY + room + i]
            to += 1
    else:
        below = np.uint64(0)
        for i in range(m[_BOUNDS]):
            below += np.uint64(m[POINT_MEMORY + room + i]) if m[_COUNTS] else np.uint64(0)
            values[to] = f64_to_bits(np.float64(below))
            to += 1
        values[to] = _float_bits(m[_COUNT])
        to += 1
    values[to] = _float_bits(m[_COUNT])
    to += 1
    if kind == SUMMARY or m[_HAS_SUM]:
        values[to] = m[_SUM]
        to += 1
    if m[_FLAGS] & 1:
        for i in range(first, to):
            values[i] = _STALE
    return to


@inner
def _hash_layout(kind, m, h1, h2):
    """Fold in what decides the layout of a histogram or summary."""
    shape = np.uint64(2 * m[_BOUNDS] + (m[_HAS_SUM] if kind == HISTOGRAM else 0))
    h1, h2 = mix(h1, shape), mix2(h2, shape)
    for i in range(m[_BOUNDS]):
        bound = np.uint64(m[POINT_MEMORY + i])
        h1, h2 = mix(h1, bound), mix2(h2, bound)
    return h1, h2


@inlined
def _is_news(slots, slot, start, t_ms):
    """Whether what is kept of a slot does not say yet that a point of this time began to count at `start`."""
    if slot < 0 or slot >= slots.shape[0]:
        return start != 0
    return start != slots[slot, S_START] or (
        start != 0 and (t_ms < slots[slot, S_SINCE] or t_ms >= slots[slot, S_UNTIL])
    )


@inner
def _point(buf, at, end, kind, h1, h2, table, slots, p, index, values, to, m, room):
    """List a point; returns (code, reason to refuse it or 0, where its values end)."""
    code, h1, h2 = _read_point(buf, at, end, kind, m, room, h1, h2)
    if code != OK:
        return code, 0, to
    reason = _fault(kind, m, room)
    if reason:
        return OK, reason, to
    if to + m[_BOUNDS] + 3 > values.size:
        return FULL, 0, to
    flags = (HAS_EXEMPLARS if m[_EXEMPLARS] else 0) | (IS_STALE if m[_FLAGS] & 1 else 0)
    stop = to
    if kind == EXPONENTIAL:
        flags |= FOR_PYTHON
    else:
        stop = _write_values(kind, m, room, values, to)
    if kind == HISTOGRAM or kind == SUMMARY:
        h1, h2 = _hash_layout(kind, m, h1, h2)
    p[P_H1, index], p[P_H2, index] = np.int64(h1), np.int64(h2)
    p[P_SLOT, index] = -1 if kind == EXPONENTIAL else find_slot(table, np.int64(h1), np.int64(h2))
    p[P_AT, index], p[P_STOP, index], p[P_TIME, index] = at, end, m[_TIME] // 1000000
    p[P_VALUES, index], p[P_COUNT, index], p[P_FLAGS, index] = to, stop - to, flags
    start = max(m[_START], 0) if kind != GAUGE else 0
    p[P_START, index] = start
    if not flags & IS_STALE and _is_news(slots, p[P_SLOT, index], start, p[P_TIME, index]):
        p[P_FLAGS, index] |= IS_NEWS
    return OK, 0, stop


@inner
def _metric_head(buf, at, end, head):
    """Fill int64[9]: name, description and unit (start, stop), kind, and its data; a code.

    Data in several pieces would have to be merged: rare.
    """
    for field in range(9):
        head[field] = 0
    datas = 0
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return MALFORMED
        if wire != LEN:
            at = skip(buf, at, end, wire)
            if at < 0:
                return MALFORMED
            continue
        start, at = length(buf, at, end)
        if at < 0:
            return MALFORMED
        place = 2 * number - 2 if number <= 3 else -1
        if place >= 0:
            head[place], head[place + 1] = start, at
        elif number == GAUGE or number == SUM or number == HISTOGRAM or number == EXPONENTIAL or number == SUMMARY:
            head[6], head[7], head[8] = number, start, at
            datas += 1
    return OK if datas <= 1 else RARE


@inner
def _data_head(buf, at, end):
    """(code, points, temporality, monotonic) of a metric's data."""
    points, temporality, monotonic = 0, np.int64(0), np.int64(0)
    while at < end:
        number, wire, at = tag(buf, at, end)
        if at < 0:
            return MALFORMED, points, temporality, monotonic
        if wire == VARINT:
            value, at = varint(buf, at, end)
            temporality = value & 0xFFFFFFFF if number == 2 else temporality
            monotonic = np.int64(value != 0) if number == 3 else monotonic
        else:
            at = skip(buf, at, end, wire)
            points += wire == LEN and number == 1
        if at < 0:
            return MALFORMED, points, temporality, monotonic
    return OK, points, temporality, monotonic


@inner
def _metric(buf, at, end, h1, h2, seed, table, slots, metrics, item, group, p, values, m, room, head, counts):
    """List a metric's points; returns a code. `h1`, `h2` hash its resource and scope."""
    metrics[M_KIND, item] = metrics[M_TAKEN, item] = 0
    code = _metric_head(buf, at, end, head)
    if code != OK or head[6] == 0:
        return code
    kind, at, end = head[6], head[7], head[8]
    code, points, temporality, monotonic = _data_head(buf, at, end)
    if code != OK:
        return code
    bad = kind != GAUGE and kind != SUMMARY and temporality != _DELTA and temporality != _CUMULATIVE
    if head[0] == head[1] or bad:
        counts[REASONS + (R_NAME if head[0] == head[1] else R_TEMPORALITY)] += points
        return OK
    shape = np.uint64(kind << 8 | temporality << 1 | monotonic)
    n1, n2 = hash_more(buf, head[0], head[1], np.uint64(seed), np.uint64(~seed))
    n1, n2 = hash_more(buf, head[4], head[5], mix(n1, shape), mix2(n2, shape))
    d1, d2 = hash_more(buf, head[2], head[3], n1, n2)
    metrics[M_KIND, item], metrics[M_H1, item], metrics[M_H2, item] = kind, np.int64(d1), np.int64(d2)
    metrics[M_SLOT, item] = find_slot(table, np.int64(d1), np.int64(d2))
    h1, h2 = mix(h1, n1), mix2(h2, n2)
    is_delta = IS_DELTA if temporality == _DELTA and kind != GAUGE and kind != SUMMARY else 0
    while at < end:
        number, wire, at = tag(buf, at, end)
        if wire != LEN:
            at = skip(buf, at, end, wire)
            continue
        start, at = length(buf, at, end)
        if number != 1:
            continue
        index = counts[N_POINTS]
        if index == p.shape[1]:
            return FULL
        code, reason, to = _point(
            buf, start, at, kind, h1, h2, table, slots, p, index, values, counts[N_VALUES], m, room
        )
        if code != OK:
            return code
        if reason:
            counts[REASONS + reason] += 1
            continue
        p[P_METRIC, index], p[P_GROUP, index] = item, group
        p[P_FLAGS, index] |= is_delta
        counts[N_POINTS], counts[N_VALUES] = index + 1, to
        counts[N_BEGUN] += (p[P_FLAGS, index] & IS_NEWS) != 0
    return OK


@kernel
def walk_points(buf, groups, scoped, items, seed, table, slots, found, metrics, p, values, m, counts):
    """List every point of the outline; `found` and `metrics` describe groups and items. Returns a code."""
    room = (m.size - POINT_MEMORY - 16) // 2
    head = m[m.size - 16 :]
    for group in range(groups.shape[1]):
        h1, h2 = hash_more(buf, groups[AT, group], groups[STOP, group], np.uint64(~seed), np.uint64(seed))
        found[G_H1, group], found[G_H2, group] = np.int64(h1), np.int64(h2)
        found[G_SLOT, group] = find_slot(table, np.int64(h1), np.int64(h2))
    last = np.int64(-1)
    h1 = h2 = np.uint64(0)
    for item in range(items.shape[1]):
        index = items[SCOPED, item]
        group = scoped[GROUP, index]
        if index != last:
            h1, h2 = np.uint64(found[G_H1, group]), np.uint64(found[G_H2, group])
            h1, h2 = hash_more(buf, scoped[AT, index], scoped[STOP, index], h1, h2)
            h1, h2 = hash_more(buf, scoped[URL_AT, index], scoped[URL_STOP, index], h1, h2)
            last = index
        at, end = items[AT, item], items[STOP, item]
        code = _metric(buf, at, end, h1, h2, seed, table, slots, metrics, item, group, p, values, m, room, head, counts)
        if code != OK:
            return code
    return OK


@inlined
def _emit_one(ids, place, t_ms, value, samples, to):
    samples[0, to], samples[1, to], samples[2, to] = ids[place], t_ms, value


@inner
def _emit_info(slots, ids, slot, newest, samples, used, counts):
    """The target_info of a group whose newest sample is of `newest`."""
    if newest < 0 or slots[slot, S_COUNT] == 0:
        return
    _emit_one(ids, slots[slot, S_FIRST], newest, np.int64(0x3FF0000000000000), samples, counts[N_SAMPLES])
    counts[N_SAMPLES] += 1
    if slots[slot, S_STATE] == PENDING:
        used[counts[N_USED]] = slot
        counts[N_USED] += 1


@kernel
def emit_starts(p, slots, ids, starts, begun, counts):
    """Write int64[3, starts] (series id, time, start) where the start is news, and int64[3, points] that slots keep."""
    to = points = 0
    for index in range(counts[N_POINTS]):
        slot, t_ms, start = p[P_SLOT, index], p[P_TIME, index], p[P_START, index]
        if slot < 0 or slots[slot, S_STATE] < 0 or not p[P_FLAGS, index] & IS_NEWS:
            continue
        for i in range(p[P_COUNT, index]):
            starts[0, to], starts[1, to], starts[2, to] = ids[slots[slot, S_FIRST] + i], t_ms, start // 1000000
            to += 1
        begun[0, points], begun[1, points], begun[2, points] = slot, start, t_ms
        points += 1
    counts[N_STARTS], counts[N_BEGUN] = to, points


@kernel
def emit(p, values, found, metrics, slots, ids, samples, used, counts):
    """Write int64[3, samples] (series id, time, value bits); list slots that are pending; count what slots refuse.

    A slot below -1 is a refusal too: minus the reason, minus one.
    """
    last, newest = np.int64(-1), np.int64(-1)
    for index in range(counts[N_POINTS]):
        slot = p[P_SLOT, index]
        if p[P_GROUP, index] != last:
            if last >= 0:
                _emit_info(slots, ids, found[G_SLOT, last], newest, samples, used, counts)
            last, newest = p[P_GROUP, index], np.int64(-1)
        state = slot + 1 if slot < 0 else slots[slot, S_STATE]
        if state < 0:
            counts[REASONS - state] += 1
            continue
        first, value = slots[slot, S_FIRST], p[P_VALUES, index]
        for i in range(p[P_COUNT, index]):
            _emit_one(ids, first + i, p[P_TIME, index], values[value + i], samples, counts[N_SAMPLES] + i)
        counts[N_SAMPLES] += p[P_COUNT, index]
        newest = max(newest, p[P_TIME, index])
        metrics[M_TAKEN, p[P_METRIC, index]] = 1
        if state == PENDING:
            used[counts[N_USED]] = slot
            counts[N_USED] += 1
    if last >= 0:
        _emit_info(slots, ids, found[G_SLOT, last], newest, samples, used, counts)
