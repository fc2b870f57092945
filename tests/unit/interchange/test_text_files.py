"""Text formats: what is read, what is refused and where; names and contents speak for a format."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pyarrow as pa
import pytest
from interchange_files import Samples, bits, imported

from obs.errors import UserError
from obs.interchange.sources import Format, Source
from obs.model.labels import make_labels
from obs.model.stale import STALE

T = 1_395_066_363_000
UP = make_labels({"__name__": "up", "job": "a"})

DUMP = rb"""{__name__="up", job="a"} 1 1395066363000
{__name__="up", job="a"} NaN 1395066363001
{__name__="x", path="/a\"b\\c\nd"} 1.5e-300 -5
{__name__="\u00fc", "a.b"="\xc3\xa9"} -Inf 0
"""
DUMPED: Samples = {
    (UP, T): bits(1.0),
    (UP, T + 1): bits(math.nan),
    (make_labels({"__name__": "x", "path": '/a"b\\c\nd'}), -5): bits(1.5e-300),
    (make_labels({"__name__": "ü", "a.b": "é"}), 0): bits(-math.inf),
}


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, lambda text: gzip.compress(text[:60]) + gzip.compress(text[60:])]
)
def test_dump_plain_and_packed(tmp_path: Path, pack: object) -> None:
    (tmp_path / "x").write_bytes(pack(DUMP))  # type: ignore[operator]
    assert imported(tmp_path / "x") == (DUMPED, [], {})


def test_zstd(tmp_path: Path) -> None:
    packed = [bytes(pa.Codec("zstd").compress(part, asbytes=True)) for part in (DUMP[:60], DUMP[60:])]
    (tmp_path / "x").write_bytes(b"".join(packed))
    assert imported(tmp_path / "x")[0] == DUMPED


def test_what_is_cut_off_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.dump.gz"
    path.write_bytes(gzip.compress(DUMP)[:-9])
    with pytest.raises(UserError, match="is the file whole"):
        imported(path)


FAULTY_DUMP = [
    ('{a="b"} zzz 5', "1:9: cannot read value 'zzz': it is no number"),
    ('{a="b"} 1_0 5', "1:9: cannot read value '1_0': it is no number"),
    ('{a="b"} 1 5.5', "1:11: cannot read time '5.5': it is no number of milliseconds in 64 bits"),
    ('{a="b"} 1 9999999999999999999', "1:11: cannot read time"),
    ('{a="b"} {count:1, sum:2} 5', "1:9: cannot read value '{count:1, sum:2}': native histograms"),
    ("nonsense", "1:1: cannot read line 'nonsense'"),
    ('{a="b", c=} 1 5', "1:9: cannot read labels 'c=': this is no name=\"value\""),
    ('{a="b", a="c"} 1 5', '1:1: cannot read labels \'{a="b", a="c"}\': a label name stands twice'),
    ("{} 1 5", "1:1: cannot read labels '{}': the series has no labels"),
    ('{a="\\xff"} 1 5', "they are not UTF-8"),
]


@pytest.mark.parametrize(("line", "said"), FAULTY_DUMP)
def test_faulty_dump(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "x.dump"
    path.write_text(f'{line}\n\n{{__name__="up", job="a"}} 1 7\n')
    found, faults, counts = imported(path)
    assert found == {(UP, 7): bits(1.0)}
    assert len(faults) == sum(counts.values()) == 1
    assert faults[0].startswith(f"{path}:1:")
    assert said in faults[0]


CSV = [
    ("metric,time,value,job\nup,1395066363,1,a\n", bits(1.0)),
    ("metric,time,value,job\nup,1395066363000,1,a\n", bits(1.0)),
    ("metric,time,value,job\nup,1395066363000000,1,a\n", bits(1.0)),
    ("metric,time,value,job\nup,1395066363000999999,1,a\n", bits(1.0)),
    ("metric,time_s,value,job\r\nup,1395066363.0004,stale,a\r\n", bits(STALE)),
    ('\ufeffvalue,time,labels\n-0.0,2014-03-17T14:26:03Z,"{""__name__"":""up"",""job"":""a""}"\n', bits(-0.0)),
    ("metric,t,value,job,none\nup,2014-03-17 15:26:03+01:00,+Inf,a,\n", bits(math.inf)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), CSV)
def test_csv(tmp_path: Path, text: str, value: bytes) -> None:
    (tmp_path / "x").write_text(text)
    assert imported(tmp_path / "x") == ({(UP, T): value}, [], {})


def test_csv_over_several_lines_and_added_labels(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('metric,time_ms,value,job,text\nup,5,1,"z","one\n\ntwo, ""three"""\n')
    labels = make_labels({"__name__": "up", "job": "a", "text": 'one\n\ntwo, "three"'})
    assert imported(tmp_path / "x.csv", added={"job": "a"})[0] == {(labels, 5): bits(1.0)}


FAULTY_CSV = [
    ("up,1,x,a", ":2:6: cannot read value 'x': it is no number"),
    ('"up",now,1,a', ":2:6: cannot read time 'now': it is neither RFC 3339 nor a number"),
    ("up,1,1", ":2:6: cannot read line 'up,1,1': it has 3 cells, the header has 4"),
    (",1,1,", ":2:1: cannot read labels"),
    ("up,1e30,1,a", ":2:4: cannot read time '1e30'"),
]


@pytest.mark.parametrize(("row", "said"), FAULTY_CSV)
def test_faulty_csv(tmp_path: Path, row: str, said: str) -> None:
    (tmp_path / "x.csv").write_text(f"metric,time,value,job\n{row}\nup,7000,1,a\n")
    found, faults, _ = imported(tmp_path / "x.csv")
    assert found == {(UP, 7_000_000): bits(1.0)}
    assert len(faults) == 1
    assert said in faults[0]


@pytest.mark.parametrize("header", ["metric,value", "time,ts,value", "a,b,c", ""])
def test_a_header_without_time_and_value(tmp_path: Path, header: str) -> None:
    (tmp_path / "x.csv").write_text(f"{header}\n1,2,3\n")
    with pytest.raises(UserError, match="it needs one column named time"):
        imported(tmp_path / "x.csv")


OPENMETRICS = """# TYPE up gauge
up{job="a"} 1 1395066363.000
# EOF
up{job="a"} 2 1395066363.001 # {trace_id="x"} 1 5
{"up",job="a"} NaN -0.5
# EOF
"""


def test_openmetrics_has_seconds_and_may_hold_several_pages(tmp_path: Path) -> None:
    (tmp_path / "x").write_text(OPENMETRICS)
    found, faults, _ = imported(tmp_path / "x")
    assert found == {(UP, T): bits(1.0), (UP, T + 1): bits(2.0), (UP, -500): bits(math.nan)}
    assert not faults


def test_prometheus_text_has_milliseconds(tmp_path: Path) -> None:
    (tmp_path / "x.prom").write_text(
        f'up{{job="a"}} 1 {T}\nup{{job="a"}} zz 5\nup{{job="a"}} 3 inf\n\xff\nup{{job="a"}} 4 7\n'
    )
    found, faults, counts = imported(tmp_path / "x.prom")
    assert found == {(UP, T): bits(1.0), (UP, 7): bits(4.0)}
    assert [fault.partition("x.prom:")[2][0] for fault in faults] == ["2", "3", "4"]
    assert sum(counts.values()) == 3


FORMATS = [
    ("a.om", b"x 1\n", Format.OPENMETRICS),
    ("a.csv.gz", gzip.compress(b"x", mtime=0), Format.CSV),
    ("a.dump", b"", Format.DUMP),
    ("a", b'\n{__name__="x"} 1 2\n', Format.DUMP),
    ("a", b"# TYPE x counter\nx 1 2\n", Format.OPENMETRICS),
    ("a", b'"metric","time","value"\n', Format.CSV),
    ("a.csv", b"PAR1", Format.PARQUET),
]


@pytest.mark.parametrize(("name", "content", "kind"), FORMATS)
def test_guess(tmp_path: Path, name: str, content: bytes, kind: Format) -> None:
    (tmp_path / name).write_bytes(content)
    source = Source(str(tmp_path / name))
    assert source.format() is kind
    source.close()
