"""Syslog messages and their framing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from obs.collector.receivers.syslog import framing
from obs.collector.receivers.syslog.framing import CUT, Framer
from obs.collector.receivers.syslog.message import parse

CET = timezone(timedelta(hours=1))


def now() -> datetime:
    return datetime(2026, 1, 2, 12, tzinfo=CET)


def ns(*parts: int, zone: timezone = UTC, fraction: int = 0) -> int:
    return int(datetime(*parts, tzinfo=zone).timestamp()) * 10**9 + fraction  # type: ignore[misc]


def taken(text: str) -> tuple[int, str | None, dict[str, str], dict[str, str], int]:
    found = parse(text.encode(), now)
    resource = {key: value for key, (_, value) in found.resource.items()}
    attributes = {key.removeprefix("syslog."): value for key, (_, value) in found.attributes.items()}
    return found.time_ns, found.body, resource, attributes, found.severity_number


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - \ufeff'su root' failed",
            (
                ns(2003, 10, 11, 22, 14, 15, fraction=3_000_000), "'su root' failed",
                {"host.name": "mymachine.example.com", "service.name": "su"}, {"facility": "auth", "msgid": "ID47"}, 18,
            ),
        ),
        (
            r'<165>1 2003-08-24T05:14:15.000003-07:00 192.0.2.1 app 8710 - [a@1 k="v" q="x\"y\]"][b@2] text',
            (
                ns(2003, 8, 24, 12, 14, 15, fraction=3_000), "text", {"host.name": "192.0.2.1", "service.name": "app"},
                {"facility": "local4", "procid": "8710", "a@1.k": "v", "a@1.q": 'x"y]'}, 10,
            ),
        ),
        ("<14>1 - - - - - -", (0, "", {}, {"facility": "user"}, 9)),
        (
            "<13>Dec 31 23:59:59 host2 sshd[99]: old style: with colon",
            (
                ns(2025, 12, 31, 23, 59, 59, zone=CET), "old style: with colon",
                {"host.name": "host2", "service.name": "sshd"}, {"facility": "user", "procid": "99"}, 10,
            ),
        ),
        (
            "<30>Jan  2 09:00:00 systemd[1]: Started.",
            (
                ns(2026, 1, 2, 9, zone=CET), "Started.", {"service.name": "systemd"},
                {"facility": "daemon", "procid": "1"}, 9,
            ),
        ),
        (
            "<30>2026-01-02T09:00:00.5+01:00 h cron: run",
            (
                ns(2026, 1, 2, 8, fraction=500_000_000), "run", {"host.name": "h", "service.name": "cron"},
                {"facility": "daemon"}, 9,
            ),
        ),
        ("no priority at all", (0, "no priority at all", {}, {"facility": "user"}, 10)),
        ("<999>too high", (0, "<999>too high", {}, {"facility": "user"}, 10)),
    ],
)  # fmt: skip
def test_messages(text: str, expected: object) -> None:
    assert taken(text) == expected


def test_a_day_that_there_is_not_is_no_time() -> None:
    assert taken("<11>Feb 30 10:00:00 h a: x")[0] == 0


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record(message: bytes) -> None:
    assert parse(message, now).body is not None


@given(st.lists(st.binary(min_size=1, max_size=30).filter(lambda b: b.strip(b"\0\r\n") and b"\n" not in b)), st.data())
def test_frames_however_they_arrive(messages: list[bytes], data: st.DataObject) -> None:
    lines = [b"<1>" + message for message in messages]
    counted = [data.draw(st.booleans()) for _ in lines]
    stream = b"".join(b"%d %s" % (len(m), m) if c else m + b"\n" for m, c in zip(lines, counted, strict=True))
    framer, found, at = Framer(), list[bytes](), 0
    while at < len(stream):
        size = data.draw(st.integers(1, 40))
        found += framer.feed(stream[at : at + size])
        at += size
    assert found + framer.end() == lines


@pytest.mark.parametrize("counted", [True, False])
def test_a_message_that_is_too_long_is_cut_and_says_so(monkeypatch: pytest.MonkeyPatch, counted: bool) -> None:
    monkeypatch.setattr(framing, "MAX_MESSAGE_BYTES", 100)
    long, framer = b"<1>" + b"x" * 500, Framer()
    stream = (b"%d %s" % (len(long), long) if counted else long + b"\n") + b"<1>next\n"
    found = [message for at in range(0, len(stream), 64) for message in framer.feed(stream[at : at + 64])]
    assert found[0].startswith(b"<1>xxx")
    assert found[0].endswith(CUT)
    assert 100 <= len(found[0]) - len(CUT) <= 164
    assert found[1:] == [b"<1>next"]
