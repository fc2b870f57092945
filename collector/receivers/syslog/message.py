"""Syslog messages, RFC 5424 and RFC 3164, as log records. Pure.

What fits neither is a record too: its text whole, its severity that of its priority.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from obs.otlp.records import Record, texts
from obs.otlp.values import Cell

FACILITIES = (
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv", "ftp", "ntp",
    "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
SEVERITIES = (
    (21, "emerg"), (19, "alert"), (18, "crit"), (17, "err"), (13, "warning"), (10, "notice"), (9, "info"), (5, "debug"),
)  # fmt: skip
"""Syslog's severities as OTLP's number and as text.
Source: opentelemetry.io/docs/specs/otel/logs/data-model-appendix, "Appendix B"."""

DEFAULT_PRIORITY = 13
"""user.notice, where a message has none. Source: RFC 3164, section 4.3.3."""

_PRIORITY = re.compile(r"<(\d{1,3})>")
_NEW = re.compile(r"1 (\S+) (\S+) (\S+) (\S+) (\S+) ")
_ELEMENT = re.compile(r'\[([^ =\]"]{1,32})((?: [^ =\]"]{1,32}="(?:[^"\\\]]|\\.)*")*)\]')
_PARAMETER = re.compile(r' ([^ =\]"]{1,32})="((?:[^"\\\]]|\\.)*)"')
_OLD_TIME = re.compile(r"([A-Z][a-z]{2}) ([ \d]\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))? ")
_ISO_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*) ")
_TAG = re.compile(r"([^\s:\[\]]{1,48})(?:\[([^\]\s]{1,32})\])?: ?")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")

Now = Callable[[], datetime]


def _local_now() -> datetime:
    return datetime.now().astimezone()


def parse(message: bytes, now: Now = _local_now) -> Record:
    """The record of one message. `now`, in the time zone of the host, completes times without year and zone."""
    text = message.decode("utf-8", "replace").rstrip("\r\n\0")
    found = _PRIORITY.match(text)
    number = int(found[1]) if found and int(found[1]) < 8 * len(FACILITIES) else None
    rest = text[found.end() :] if found and number is not None else text
    priority = DEFAULT_PRIORITY if number is None else number
    record = _new(rest) or _old(rest, now)
    record.severity_number, record.severity_text = SEVERITIES[priority % 8]
    record.attributes = {"syslog.facility": ("str", FACILITIES[priority // 8]), **record.attributes}
    return record


def _new(text: str) -> Record | None:
    """RFC 5424: version, time, host, application, process, message id, structured data, message."""
    head = _NEW.match(text)
    if head is None:
        return None
    time, host, app, process, kind = (None if field == "-" else field for field in head.groups())
    data, at = _structured(text, head.end())
    if at is None:
        return None
    attributes = texts({"syslog.procid": process or "", "syslog.msgid": kind or "", **data})
    body = text[at:].removeprefix(" ").removeprefix("\ufeff")
    return Record(body, _iso_ns(time or ""), resource=_resource(host, app), attributes=attributes)


def _structured(text: str, at: int) -> tuple[dict[str, str], int | None]:
    """The parameters by `syslog.<element>.<name>`, and where the message begins; None: this is no structured data."""
    found: dict[str, str] = {}
    if text.startswith("-", at):
        return found, at + 1
    while element := _ELEMENT.match(text, at):
        for name, value in _PARAMETER.findall(element[2]):
            found[f"syslog.{element[1]}.{name}"] = re.sub(r'\\(["\\\]])', r"\1", value)
        at = element.end()
    return found, at if found or text[at - 1 : at] == "]" else None


def _old(text: str, now: Now) -> Record:
    """RFC 3164: time, host, tag, message; each may be missing."""
    time_ns, rest = _old_time(text, now)
    host = None
    if time_ns:
        first, space, after = rest.partition(" ")
        if space and not first.endswith(":") and "[" not in first:
            host, rest = first, after
    tag = _TAG.match(rest)
    app, process = (tag[1], tag[2]) if tag else (None, None)
    body = rest[tag.end() :] if tag else rest
    return Record(body, time_ns, resource=_resource(host, app), attributes=texts({"syslog.procid": process or ""}))


def _old_time(text: str, now: Now) -> tuple[int, str]:
    found = _OLD_TIME.match(text)
    if found is None or found[1] not in _MONTHS:
        iso = _ISO_TIME.match(text)
        time_ns = _iso_ns(iso[1]) if iso else 0
        return (time_ns, text[iso.end() :]) if iso and time_ns else (0, text)
    today = now()
    month, day, hour, minute, second = _MONTHS.index(found[1]) + 1, *(int(part) for part in found.group(2, 3, 4, 5))
    for year in (today.year + 1, today.year, today.year - 1):  # the last one that is not in the future
        try:
            time = datetime(year, month, day, hour, minute, min(second, 59), tzinfo=today.tzinfo)
        except ValueError:
            continue
        if time <= today + timedelta(days=1):
            fraction = int((found[6] or "0").ljust(9, "0"))
            return int(time.timestamp()) * 10**9 + fraction, text[found.end() :]
    return 0, text


def _iso_ns(text: str) -> int:
    fraction = re.search(r"\.(\d{1,9})", text)
    try:
        time = datetime.fromisoformat(text if fraction is None else text[: fraction.start()] + text[fraction.end() :])
    except ValueError:
        return 0
    time = time if time.tzinfo else time.replace(tzinfo=UTC)
    return max(int(time.timestamp()) * 10**9 + (int(fraction[1].ljust(9, "0")) if fraction else 0), 0)


@lru_cache(maxsize=4096)
def _resource(host: str | None, app: str | None) -> dict[str, Cell]:
    return texts({"host.name": host or "", "service.name": app or ""})
