"""Redaction of log records, before anything is stored: what a pattern matches in a text becomes a mark.

Regexes are RE2's, which cannot backtrack. Looked at are the body, every text among the attributes of any scope, and
JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from obs.errors import ConfigError
from obs.model.batch import Batch, Signal
from obs.model.schema import LABELS, OVERFLOW, parse_attribute_column

MARK = "***"


@dataclass(frozen=True, slots=True)
class Rule:
    """What `regex` matches becomes `replace`, where `\\1` is the first group."""

    regex: str
    replace: str = MARK


NAMED: Mapping[str, Rule] = {
    "email": Rule(r"\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\b"),
    "credit_card": Rule(r"\b(?:\d[ -]?){12,15}(\d{4})\b", MARK + r"\1"),
    "ipv4": Rule(r"\b(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)\b"),
    "iban": Rule(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,4})?\b"),
    "ssn": Rule(r"\b\d{3}-\d{2}-\d{4}\b"),
    "jwt": Rule(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"),
    "bearer": Rule(r"(?i)\b(bearer|basic|token) +[A-Za-z0-9._~+/=-]{8,}", r"\1 " + MARK),
    "aws_key": Rule(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
    "private_key": Rule(r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.*?)-----END [A-Z ]*PRIVATE KEY-----"),
    "secret": Rule(
        r"""(?i)\b(password|passwd|pwd|secret|api[_-]?key|access[_-]?token)("?\s*[=:]\s*"?)[^\s"',;&}]+""",
        r"\1\2" + MARK,
    ),
}
"""Patterns by the name that a configuration uses."""


class Redaction:
    """The processor. Raises: ConfigError where a pattern is not known or a regex does not compile."""

    def __init__(self, names: Sequence[str], rules: Sequence[Rule]) -> None:
        unknown = [name for name in names if name not in NAMED]
        if unknown:
            raise ConfigError(
                f"processors.redact.patterns: cannot use {unknown[0]!r}: it is not known; known: {', '.join(NAMED)}"
            )
        self._rules = (*(NAMED[name] for name in names), *rules)
        for rule in self._rules:
            try:
                pc.replace_substring_regex(pa.array([""]), rule.regex, rule.replace)
            except pa.ArrowInvalid as e:
                raise ConfigError(f"processors.redact.regexes: cannot use {rule.regex!r}: {e}") from None

    def __call__(self, batch: Batch) -> Batch:
        """The batch with its texts redacted."""
        records = batch.tables.get("logs")
        if batch.signal is not Signal.LOGS or records is None:
            return batch
        arrays = [
            self._column(name, column) for name, column in zip(records.schema.names, records.columns, strict=True)
        ]
        return Batch(batch.signal, {**batch.tables, "logs": pa.RecordBatch.from_arrays(arrays, schema=records.schema)})

    def _column(self, name: str, column: pa.Array) -> pa.Array:
        if name == OVERFLOW:
            items = self._replaced(column.items, self._rules)
            made = pa.MapArray.from_arrays(column.offsets, column.keys, items)
            return pc.if_else(column.is_valid(), made.cast(LABELS), pa.scalar(None, LABELS))
        attribute = parse_attribute_column(name)
        if name != "body" and (attribute is None or attribute.type not in ("str", "json")):
            return column
        if not pa.types.is_dictionary(column.type):
            return self._replaced(column, self._rules)
        values = self._replaced(column.dictionary, self._rules)
        if values is column.dictionary:
            return column
        return values.take(column.indices).dictionary_encode().cast(column.type)

    @staticmethod
    def _replaced(texts: pa.Array, rules: Sequence[Rule]) -> pa.Array:
        for rule in rules:
            if pc.any(pc.match_substring_regex(texts, rule.regex)).as_py():
                texts = pc.replace_substring_regex(texts, rule.regex, rule.replace)
        return texts
