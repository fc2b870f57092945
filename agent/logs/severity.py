"""How bad a record says it is, as OpenTelemetry's severity number, and the trace it names. Guessed from text; pure."""

from __future__ import annotations

import re

TRACE, DEBUG, INFO, WARN, ERROR, FATAL = 1, 5, 9, 13, 17, 21
NAMES = {TRACE: "TRACE", DEBUG: "DEBUG", INFO: "INFO", WARN: "WARN", ERROR: "ERROR", FATAL: "FATAL"}

WORDS = {
    "trace": TRACE, "finest": TRACE, "debug": DEBUG, "dbg": DEBUG, "fine": DEBUG, "verbose": DEBUG,
    "info": INFO, "inf": INFO, "information": INFO, "informational": INFO, "notice": INFO,
    "warn": WARN, "warning": WARN, "wrn": WARN,
    "error": ERROR, "err": ERROR, "severe": ERROR, "exception": ERROR,
    "crit": FATAL, "critical": FATAL, "fatal": FATAL, "panic": FATAL,
    "alert": FATAL, "emerg": FATAL, "emergency": FATAL,
}  # fmt: skip

# Source: RFC 5424 table 2, severities 0 to 7.
SYSLOG = (FATAL, FATAL, FATAL, ERROR, WARN, INFO, INFO, DEBUG)
KLOG = {"I": INFO, "W": WARN, "E": ERROR, "F": FATAL}

_CHARS = 400  # a level stands near the start of a line
_KEYED = re.compile(
    r"""\b(?:level|severity|lvl|levelname|log\.level|loglevel)["']?\s*[=:]\s*["']?(?:([A-Za-z]+)\b|(\d{2})\b)"""
)
_UPPER = re.compile(
    r"\b(TRACE|DEBUG|INFO|NOTICE|WARN|WARNING|ERROR|ERR|CRIT|CRITICAL|FATAL|SEVERE|PANIC|ALERT|EMERG)\b"
)
_BRACKETED = re.compile(r"[\[<(](trace|debug|info|notice|warn|warning|error|err|crit|critical|fatal|alert|emerg)[\]>)]")
_LEADING = re.compile(r"(?:[\w./-]+(?:\[\d+\])?: )?(debug|info|warn|warning|error|err|fatal|panic|critical): ", re.I)
_EXCEPTION = re.compile(r"(?:Traceback \(most recent call last\)|(?:[\w.$]+\.)?\w*(?:Exception|Error)(?::|$)|panic: )")
_KLOG = re.compile(r"([IWEF])\d{4} \d\d:")
_PRIORITY = re.compile(r"<(\d{1,3})>")

_TRACE_ID = re.compile(r"""trace_?-?\.?id["']?\s*[=:]\s*["']?([0-9a-f]{32})\b""", re.I)
_SPAN_ID = re.compile(r"""span_?-?\.?id["']?\s*[=:]\s*["']?([0-9a-f]{16})\b""", re.I)
_TRACEPARENT = re.compile(r"\b00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}\b")


def guess_severity(text: str) -> int:
    """The severity number of a record by its first line, 0 where nothing tells."""
    head = text[:_CHARS]
    if ("evel" in head or "everity" in head or "lvl" in head) and (found := _KEYED.search(head)):
        keyed = WORDS.get(found[1].lower(), 0) if found[1] else _numeric(int(found[2]))
        if keyed:
            return keyed
    if found := _KLOG.match(head):
        return KLOG[found[1]]
    if found := _UPPER.search(head):
        return WORDS[found[1].lower()]
    if found := _BRACKETED.search(head) or _LEADING.match(head):
        return WORDS[found[1].lower()]
    if _EXCEPTION.match(head):
        return ERROR
    if found := _PRIORITY.match(head):
        return SYSLOG[int(found[1]) & 7]
    return 0


def _numeric(level: int) -> int:
    """Levels of pino and bunyan: 10 is trace, 60 fatal."""
    return (0, TRACE, DEBUG, INFO, WARN, ERROR, FATAL)[level // 10] if level % 10 == 0 and level <= 60 else 0


def find_trace(text: str) -> tuple[bytes, bytes]:
    """(trace id, span id) named in a record, empty where there is none."""
    if "race" not in text:
        return b"", b""
    if parent := _TRACEPARENT.search(text):
        return bytes.fromhex(parent[1]), bytes.fromhex(parent[2])
    trace = _TRACE_ID.search(text)
    if trace is None or trace[1] == "0" * 32:
        return b"", b""
    span = _SPAN_ID.search(text)
    return bytes.fromhex(trace[1]), bytes.fromhex(span[1]) if span else b""
