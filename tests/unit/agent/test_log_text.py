"""From bytes to records, without files: framing, formats, times, severities, multi-line."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from obs.agent.logs.assemble import StreamAssembler, TextRecord
from obs.agent.logs.formats import decode, sniff
from obs.agent.logs.framing import Framer, Line
from obs.agent.logs.severity import find_trace, guess_severity
from obs.agent.logs.timestamps import guess_time_ns, iso_to_ns

NOW_NS = 1_795_424_843_000_000_000  # 2026-11-23T09:07:23Z


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_framing_does_not_depend_on_chunks(size: int) -> None:
    data = b"one\ntwo\r\n\nlonger than the limit\nlast"
    framer = Framer(100, limit=10)
    lines = [line for i in range(0, len(data), size) for line in framer.feed(data[i : i + size])]
    assert framer.has_partial
    last = framer.flush()
    assert last is not None
    assert [(x.data, x.cut_bytes) for x in [*lines, last]] == [
        (b"one", 0),
        (b"two", 0),
        (b"", 0),
        (b"longer tha", 11),
        (b"last", 0),
    ]
    assert lines[0].start == 100 and last.end == 100 + len(data)
    assert all(a.end == b.start for a, b in pairwise(lines))


def test_a_huge_line_is_bounded() -> None:
    framer = Framer(0, limit=1000)
    for _ in range(160):
        assert framer.feed(b"x" * 65536) == []
    (line,) = framer.feed(b"\n")
    assert len(line.data) == 1000 and line.cut_bytes == 160 * 65536 - 1000 and line.end == 160 * 65536 + 1


CRI = b"2026-11-23T09:07:23.971843241+00:00 stdout F INFO req 0"
JSON = b'{"log":"caf\\u00e9\\n","stream":"stderr","time":"2026-11-23T09:07:23.5Z"}'


def test_formats() -> None:
    assert [sniff(x) for x in (CRI, JSON, b"hello", b'{"log": 5}', b"")] == [
        "cri",
        "json-file",
        "plain",
        "plain",
        "plain",
    ]
    piece = decode("cri", CRI)
    assert (piece.text, piece.stream, piece.ends, piece.time_ns) == ("INFO req 0", "stdout", True, NOW_NS + 971843241)
    assert decode("cri", b"2026-11-23T09:07:23Z stderr P part").ends is False
    empty = decode("cri", b"2026-11-23T09:07:23.1Z stderr F")
    assert (empty.text, empty.stream) == ("", "stderr")
    piece = decode("json-file", JSON)
    assert (piece.text, piece.stream, piece.ends, piece.time_ns) == ("café", "stderr", True, NOW_NS + 500_000_000)
    assert decode("json-file", JSON.replace(b"\\n", b"")).ends is False
    assert decode("cri", b"not cri").text == "not cri", "a line out of form is kept"
    assert decode("plain", b"bad \xff utf-8").text == "bad \ufffd utf-8"


@pytest.mark.parametrize(
    ("text", "severity"),
    [
        ("2026-01-01 12:00:00 ERROR it broke", 17),
        ("WARNING: low", 13),
        ("level=warn msg=x", 13),
        ('{"time":"x","level":"error","msg":"INFO"}', 17),
        ('{"level":30,"msg":"pino"}', 9),
        ("E0412 10:00:00.1 1 x.go:5] klog", 17),
        ("<11>Oct 1 12:00:00 host app: x", 17),
        ("[debug] x", 5),
        ("nginx: [crit] y", 21),
        ("error: could not", 17),
        ("Traceback (most recent call last):", 17),
        ("java.lang.IllegalStateException: x", 17),
        ("panic: runtime", 21),
        ("0 errors found in information", 0),
        ("", 0),
        ("GET /index 200", 0),
        ("INFO all fine, no ERROR", 9),
        ("CRITICAL meltdown", 21),
    ],
)
def test_severity(text: str, severity: int) -> None:
    assert guess_severity(text) == severity


def test_trace_ids() -> None:
    trace, span = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
    for text in (
        f"trace_id={trace} span_id={span}",
        f'{{"traceId":"{trace}","spanId":"{span}"}}',
        f"00-{trace}-{span}-01 trace",
    ):
        assert find_trace(text) == (bytes.fromhex(trace), bytes.fromhex(span)), text
    assert find_trace(f"trace_id={trace}")[1] == b""
    assert find_trace("trace_id=" + "0" * 32) == (b"", b"")
    assert find_trace("a trace of nothing") == (b"", b"")


def utc_ns(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp()) * 1_000_000_000  # type: ignore[misc,arg-type]


def test_times() -> None:
    assert iso_to_ns("2026-11-23T09:07:23.971843241+00:00") == NOW_NS + 971843241
    assert iso_to_ns("2026-11-23T10:07:23+01:00") == NOW_NS
    assert iso_to_ns("2026-13-23T10:07:23Z") is None
    assert guess_time_ns("[2026-11-23T09:07:23Z] x", NOW_NS) == NOW_NS
    assert guess_time_ns('{"a":1,"time":"2026-11-23T09:07:23Z"}', NOW_NS) == NOW_NS
    assert guess_time_ns('1.2.3.4 - - [23/Nov/2026:09:07:23 +0000] "GET /"', NOW_NS) == NOW_NS
    assert guess_time_ns("2036-11-23T09:07:23Z from the future", NOW_NS) is None
    assert guess_time_ns("no time", NOW_NS) is None
    assert guess_time_ns("Foo 99 99:99:99 x", NOW_NS) is None
    local = datetime.fromtimestamp(NOW_NS / 1e9).strftime("%b %e %H:%M:%S")
    assert guess_time_ns(f"{local} host app[1]: x", NOW_NS) == NOW_NS


def test_syslog_of_last_december() -> None:
    january = utc_ns(2027, 1, 2)
    when = guess_time_ns("Dec 31 12:00:00 host app: x", january)
    assert when is not None and datetime.fromtimestamp(when / 1e9).year == 2026


def records(text: str, form: str = "plain", first_line: str | None = None, limit: int = 10_000) -> list[TextRecord]:
    assembler = StreamAssembler("", re.compile(first_line) if first_line else None, limit)
    framer, out = Framer(0), []
    for line in framer.feed(text.encode()):
        out += assembler.add(line, decode(form, line.data))
    return out + assembler.flush(partial=True)


def texts(text: str, **how: str) -> list[str]:
    return [r.text for r in records(text, **how)]  # type: ignore[arg-type]


PYTHON = 'Traceback (most recent call last):\n  File "a.py", line 1, in f\n    g()\nValueError: bad'


def test_python_tracebacks() -> None:
    assert texts(f"{PYTHON} 0\n{PYTHON} 1\n") == [f"{PYTHON} 0", f"{PYTHON} 1"]
    assert texts(f"ERROR:root:oops\n{PYTHON}\nINFO next\n") == [f"ERROR:root:oops\n{PYTHON}", "INFO next"]
    assert texts(f"GET / 200\n{PYTHON}\n") == ["GET / 200", PYTHON]
    chained = f"{PYTHON}\n\nDuring handling of the above exception, another exception occurred:\n\n{PYTHON} 2"
    assert texts(f"{chained}\nx\n") == [chained, "x"]


JAVA = (
    "java.lang.RuntimeException: a\n\tat x.Y.z(Y.java:1)\n"
    "Caused by: java.io.IOException: b\n\tat q.R.s(R.java:2)\n\t... 5 more"
)
GO = "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/x/main.go:5 +0x1d\nexit status 2"


def test_java_and_go() -> None:
    assert texts(f"ERROR failed\n{JAVA}\nINFO x\n") == [f"ERROR failed\n{JAVA}", "INFO x"]
    assert texts(f"{JAVA}\n") == [JAVA]
    assert texts(f"{GO}\nnext\n") == [GO, "next"]


def test_first_line_regex() -> None:
    assert texts("[1] a\nb\nc\n[2] d\n", first_line=r"^\[\d+\]") == ["[1] a\nb\nc", "[2] d"]


def test_blank_lines_are_no_records() -> None:
    assert texts("\n\na\n\n\nb\n\n") == ["a", "b"]


def test_parts_are_joined() -> None:
    lines = "".join(
        f"2026-11-23T09:07:2{i}Z stdout {tag} {text}\n"
        for i, (tag, text) in enumerate([("P", "a" * 5), ("P", "b"), ("F", ""), ("F", "c")])
    )
    got = records(lines, form="cri")
    assert [r.text for r in got] == ["aaaaab", "c"]
    assert got[0].time_ns == utc_ns(2026, 11, 23, 9, 7, 20), "the time of the first part"


def test_records_are_bounded_and_say_so() -> None:
    got = records("x" * 8 + "\n " + "y" * 8 + "\n", limit=10)
    assert got == [TextRecord("x" * 8 + "\n" + " y", "", None, 7)]


def test_pending_start_never_passes_what_is_held() -> None:
    assembler = StreamAssembler("")
    assert assembler.pending_start is None
    assembler.add(Line(0, 5, b"head"), decode("plain", b"head"))
    assembler.add(Line(5, 9, b" in"), decode("plain", b" in"))
    assert assembler.pending_start == 0
    assert [r.text for r in assembler.add(Line(9, 14, b"next"), decode("plain", b"next"))] == ["head\n in"]
    assert assembler.pending_start == 9
