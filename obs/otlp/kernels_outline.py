"""The outline of a request: where its resources, scopes and items lie. The three signals share it.

Request { 1: group }, group { 1: resource, 2: scoped, 3: schema_url }, scoped { 1: scope, 2: item, 3: schema_url }.
Three int64 arrays, a row per field: groups (resource), scoped (scope, schema URL, group), items (item, scoped).
"""

# mypy: allow-untyped-defs, allow-untyped-calls
from __future__ import annotations

import numpy as np

from obs.otlp.kernels_wire import LEN, MALFORMED, OK, RARE, inner, kernel, length, skip, tag

AT, STOP = 0, 1
URL_AT, URL_STOP, GROUP = 2, 3, 4
SCOPED = 2


@inner
def _child(buf, at, end):
    """(field number, start, next) of the next length-delimited field; number 0: another field was skipped."""
    number, wire, at = tag(buf, at, end)
    if at < 0:
        return number, at, -1
    if wire == LEN:
        start, stop = length(buf, at, end)
        return number, start, stop
    return 0, at, skip(buf, at, end, wire)


@kernel
def count(buf, size, counts):
    """Fill `counts` with how many groups, scoped and items there are; returns a code."""
    at = np.int64(0)
    while at < size:
        number, start, at = _child(buf, at, size)
        if at < 0:
            return MALFORMED
        if number != 1:
            continue
        counts[0] += 1
        inner = start
        while inner < at:
            number, start, inner = _child(buf, inner, at)
            if inner < 0:
                return MALFORMED
            if number != 2:
                continue
            counts[1] += 1
            item = start
            while item < inner:
                number, start, item = _child(buf, item, inner)
                if item < 0:
                    return MALFORMED
                counts[2] += number == 2
    return OK


@inner
def _fill_scoped(buf, at, end, scoped, items, index, item):
    """One scoped's ranges; returns (code, next item). A scope in two pieces would have to be merged: rare."""
    scopes = 0
    for field in range(4):
        scoped[field, index] = at
    while at < end:
        number, start, at = _child(buf, at, end)
        if at < 0:
            return MALFORMED, item
        if number == 2:
            items[AT, item], items[STOP, item], items[SCOPED, item] = start, at, index
            item += 1
        elif number == 1:
            scoped[AT, index], scoped[STOP, index] = start, at
            scopes += 1
        elif number == 3:
            scoped[URL_AT, index], scoped[URL_STOP, index] = start, at
    return (OK if scopes <= 1 else RARE), item


@kernel
def fill(buf, size, groups, scoped, items):
    """Fill an outline whose arrays are as long as `count` said; returns a code."""
    group = index = item = at = np.int64(0)
    while at < size:
        number, start, at = _child(buf, at, size)
        if at < 0:
            return MALFORMED
        if number != 1:
            continue
        groups[AT, group] = groups[STOP, group] = start
        resources, inner = 0, start
        while inner < at:
            number, start, inner = _child(buf, inner, at)
            if inner < 0:
                return MALFORMED
            if number == 1:
                groups[AT, group], groups[STOP, group] = start, inner
                resources += 1
            elif number == 2:
                scoped[GROUP, index] = group
                code, item = _fill_scoped(buf, start, inner, scoped, items, index, item)
                if code != OK:
                    return code
                index += 1
        if resources > 1:
            return RARE
        group += 1
    return OK
