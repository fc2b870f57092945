"""Which labels of JSON and logfmt bodies become columns of a block, and these columns. FORMAT.md, fields.parquet.

In: the bodies of a block, then those of each row group in turn. Out: a table a row group, or nothing where few bodies
are of these kinds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from obs.logstore import limits
from obs.logstore.filenames import FIELDS_PARSER
from obs.logstore.linefields import JSON, LOGFMT, ODD_LABELS, PARSERS, find
from obs.logstore.logql.stages.json_parser import json_fields
from obs.logstore.logql.stages.logfmt_parser import logfmt_pairs
from obs.logstore.names import label_name
from obs.model.schema import DICT


@dataclass(frozen=True, slots=True)
class Choice:
    """Labels that become columns, which of them repeat their values, and whether some bodies are logfmt."""

    labels: tuple[str, ...]
    repeated: frozenset[str]
    logfmt: bool


def choose(body: pa.ChunkedArray) -> Choice | None:
    """What a look at some bodies suggests; None where a column would hold too little."""
    lines = _sample(body)
    values: dict[str, list[str]] = {}
    kinds: Counter[str] = Counter()
    for line in lines:
        parser, found = _fields(line)
        kinds[parser] += 1
        for name, text in found.items():
            values.setdefault(name, []).append(text)
    often = [(len(v), name) for name, v in values.items() if _pays(v, len(lines))]
    labels = sorted(name for _, name in sorted(often, reverse=True)[: limits.FIELD_COLUMNS])
    repeated = frozenset(name for name in labels if len(set(values[name])) * 3 <= len(values[name]) + 3)
    return Choice(tuple(labels), repeated, kinds[LOGFMT] > 0) if labels else None


def _sample(body: pa.ChunkedArray) -> list[str]:
    """Some bodies, evenly apart; without a copy of the rest."""
    step = max(1, len(body) // limits.FIELD_SAMPLE_ROWS)
    found, start = [], 0
    for chunk in body.chunks:
        found += [chunk[i].as_py() or "" for i in range(-start % step, len(chunk), step)]
        start += len(chunk)
    return found


def _fields(line: str) -> tuple[str, dict[str, str]]:
    """The parser that a line is for, and what it finds; a line with more words than pairs is for none."""
    found: dict[str, str] = {}
    if line.lstrip()[:1] == "{":
        found = {name: text for name, _, text in json_fields(line) or ()}
        parser = JSON
    else:
        pairs = logfmt_pairs(line) if "=" in line else {}
        filled = {label_name(key): text for key, text in pairs.items() if text}
        parser, found = (LOGFMT, filled) if pairs and len(filled) * 2 >= len(pairs) else ("", {})
    return parser, {name: text for name, text in found.items() if name and name not in ODD_LABELS}


def _pays(values: list[str], lines: int) -> bool:
    """Whether a column of values found in some of so many lines is worth its bytes: values of which each is another are
    in the body already, and cost as much again."""
    if len(set(values)) * 2 <= len(values):
        return len(values) * limits.FIELD_SHARE >= lines
    short = sum(map(len, values)) <= limits.FIELD_BYTES * len(values)
    return short and len(values) * limits.FIELD_SHARE_UNIQUE >= lines


def field_options(choice: Choice) -> dict[str, Any]:
    """Parquet options: dictionaries where values repeat, and what tells where all rows are one parser's."""
    return {
        "use_dictionary": [FIELDS_PARSER, *choice.repeated], "write_statistics": [FIELDS_PARSER],
        "compression_level": 1, "data_page_size": limits.PAGE_BYTES,
    }  # fmt: skip


def fields_of(lines: pa.Array, choice: Choice) -> pa.Table:
    """The columns of a row group's bodies."""
    codes = np.full(len(lines), -1, np.int32)
    found = find(lines, PARSERS if choice.logfmt else (JSON,), choice.labels, codes)
    columns = {FIELDS_PARSER: pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(PARSERS))}
    for name, texts in zip(choice.labels, found.texts(), strict=True):
        columns[name] = texts.dictionary_encode() if name in choice.repeated else texts
    schema = [(FIELDS_PARSER, DICT), *((n, DICT if n in choice.repeated else pa.string()) for n in choice.labels)]
    return pa.table(columns).cast(pa.schema(schema))
