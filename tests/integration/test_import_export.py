"""`obs import` and `obs export` against a real server: bits there and back, promtool, faults, exit codes."""

from __future__ import annotations

import math
import struct
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import obs_command
import pytest
from metric_rows import Held, Value, held, mixed_batch
from obs_process import ObsProcess
from prometheus_process import program

from obs.model.labels import Labels, make_labels
from obs.model.stale import STALE
from obs.tsdb.promql.histogram import GAUGE, Histogram
from obs.tsdb.store import MetricStore

T0 = time.time_ns() // 60_000_000_000 * 60_000 - 3_600_000
ODD = make_labels({"__name__": "odd", "job": 'a "q" \\ \n , é', "a.b": "1"})
PLAIN = make_labels({"__name__": "plain:x", "job": "b"})
VALUES: tuple[Value, ...] = (
    0.1, math.nan, STALE, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 1e16, 123456789.123,
    Histogram(3, 12.0, 4.5, 1e-9, 2.0, {-5: 1.0, -3: 2.5}, {2: 3.0, 3: 3.5}, (), GAUGE),
    Histogram(-53, 3.0, 1.5, 0.0, 0.0, {0: 1.0, 1: 2.0}, {}, (0.5, 1.0)), 3.0,
)  # fmt: skip
ALL = '{__name__=~"odd|plain:x", job!="copy"}'


def obs(*words: str, code: int = 0, **options: Any) -> obs_command.Done:
    """Run the command line."""
    done = obs_command.obs(*words, **options)
    assert done.returncode == code, done.stderr
    return done


def read(data: Path) -> Held:
    """All samples of a data folder whose server is off."""
    store = MetricStore(data / "metrics")
    store.open()
    try:
        assert store.engine.wait_recovered(60)
        return held(store.select((), 0, 1 << 60))
    finally:
        store.close()


def rows() -> list[tuple[Labels, int, Value]]:
    return [(labels, T0 + k * 1001, value) for labels in (ODD, PLAIN) for k, value in enumerate(VALUES)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    """A server with some samples in a block, and the same number in its head."""
    data = tmp_path_factory.mktemp("export") / "data"
    store = MetricStore(data / "metrics")
    store.open()
    store.consume(mixed_batch(rows()[: len(VALUES)]))
    store.flush()
    store.consume(mixed_batch(rows()[len(VALUES) :]))
    store.close()
    with ObsProcess(data) as running:
        yield running


def without(wanted: Held, *, histograms: bool = False, nans: bool = False) -> Held:
    """What a format can carry: no histograms, one NaN for all."""
    plain = struct.pack("<d", math.nan)
    floats = {key: value for key, value in wanted.items() if histograms or isinstance(value, bytes)}
    if nans:
        return floats
    return {
        key: plain if isinstance(value, bytes) and math.isnan(struct.unpack("<d", value)[0]) else value
        for key, value in floats.items()
    }


@pytest.mark.parametrize("name", ["x.parquet", "x.csv.gz", "x.dump.zst", "x.om"])
def test_there_and_back(server: ObsProcess, tmp_path: Path, name: str) -> None:
    said = obs("export", ALL, "-o", str(tmp_path / name), "--server", server.url).stderr
    obs("import", str(tmp_path / name), "--data", str(tmp_path / "again"))
    wanted: Held = {(labels, t): v if isinstance(v, Histogram) else struct.pack("<d", v) for labels, t, v in rows()}
    is_parquet, is_csv = name == "x.parquet", "csv" in name
    assert read(tmp_path / "again") == without(wanted, histograms=is_parquet, nans=is_parquet or is_csv)
    assert ("4 native histograms left out" in said) is not is_parquet
    assert ("2 NaN that the format cannot tell" in said) is not (is_parquet or is_csv)


def test_a_range_to_standard_output_and_into_a_server(server: ObsProcess) -> None:
    start, end = (T0 + 5 * 1001) / 1000, (T0 + 6 * 1001) / 1000
    words = ("export", "plain:x", "--start", str(start), "--end", str(end), "--format", "csv", "--server", server.url)
    text = obs(*words).stdout
    lines = [f'plain:x,{T0 + k * 1001},{v},"{{""job"":""b""}}"' for k, v in ((5, "-0.0"), (6, "5e-324"))]
    assert text.splitlines()[1:] == lines
    obs("import", "-", "--label", "job=copy", "--server", server.url, input=text)
    found = server.client.prometheus.query('plain:x{job="copy"}[1d]').result
    assert [value for series in found for _, value in series["values"]] == ["-0", "5e-324"]


def test_promtool_dumps_what_we_import_and_reads_what_we_export(server: ObsProcess, tmp_path: Path) -> None:
    promtool = program("promtool")
    obs("export", '{job="b"}', "-o", str(tmp_path / "x.om"), "--server", server.url)
    subprocess.run([promtool, "tsdb", "create-blocks-from", "openmetrics", "x.om", "blocks"], cwd=tmp_path, check=True)
    (tmp_path / "blocks" / "wal").mkdir()
    dumped = subprocess.run([promtool, "tsdb", "dump", "blocks"], cwd=tmp_path, check=True, capture_output=True)
    obs("import", "-", "--data", str(tmp_path / "again"), input=dumped.stdout.decode())
    wanted = {(labels, t): struct.pack("<d", v) for labels, t, v in rows() if labels == PLAIN and isinstance(v, float)}
    assert len(wanted) == len(VALUES) - 2
    found = {key: value for key, value in read(tmp_path / "again").items() if isinstance(value, bytes)}
    assert without(found) == without(wanted)


FAULTY = "metric,time,value\nup,1,1\nup,x,1\nup,3,y\n"


def test_faults_are_counted_and_strict_stops(server: ObsProcess, tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text(FAULTY)
    done = obs("import", "x.csv", "--server", server.url, "--label", "job=faulty", cwd=tmp_path, code=1)
    assert done.stdout.startswith("imported 1 samples of 1 file")
    assert "x.csv:3:4: cannot read time 'x'" in done.stderr
    assert "rejected 1: value: it is no number" in done.stderr
    done = obs("import", "x.csv", "--strict", "--server", server.url, cwd=tmp_path, code=2)
    assert done.stderr.startswith("x.csv:3:4: cannot read time 'x'")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["import", "nothing-here"], 2, "cannot open 'nothing-here'"),
        (["import", "-", "--label", "x"], 2, "cannot add label 'x'"),
        (["export", "up{"], 2, "unexpected end of input"),
        (["export", "up", "-o", "no/such/folder.csv"], 2, "cannot write 'no/such/folder.csv'"),
        (["export", "up", "--server", "http://127.0.0.1:1"], 3, "is `obs up` running?"),
        (["import", "-", "--format", "csv", "--server", "http://127.0.0.1:1"], 3, "is `obs up` running?"),
    ],
)
def test_exit_codes(server: ObsProcess, tmp_path: Path, words: list[str], code: int, said: str) -> None:
    done = obs(*words, code=code, cwd=tmp_path, server=server.url, input="metric,time,value\nup,1,1\n")
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


class Reluctant(BaseHTTPRequestHandler):
    """Answers as it is told, then that all is well; 0 hangs up without an answer."""

    answers: list[int]
    bodies: list[bytes]

    def do_POST(self) -> None:
        self.bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
        status = self.answers.pop(0) if self.answers else 204
        if status:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_a_server_that_is_full_or_away_is_asked_again() -> None:
    Reluctant.answers, Reluctant.bodies = [503, 0, 429], []
    lines = "".join(f"up,{k},{k}\n" for k in range(100))
    with HTTPServer(("127.0.0.1", 0), Reluctant) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{receiver.server_port}"
        done = obs("import", "-", "--server", url, input=f"metric,time_s,value\n{lines}")
        receiver.shutdown()
    assert done.stdout.startswith("imported 100 samples")
    assert len(Reluctant.bodies) == 4
    assert len(set(Reluctant.bodies)) == 1
