"""Faulty questions to a real obs: each API's own error, never a server error, never a traceback."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, urlparse

import pytest
from obs_process import ObsProcess

PROMETHEUS = "/api/v1"
LOKI = "/loki/api/v1"


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    with ObsProcess(tmp_path_factory.mktemp("bad-queries") / "data") as process:
        yield process
        assert process.process.poll() is None
        assert "Traceback" not in process.errors()


def ask(obs: ObsProcess, path: str, method: str = "GET", body: str | None = None) -> tuple[int, str, str]:
    """Status, content type, text."""
    connection = http.client.HTTPConnection(urlparse(obs.url).netloc, timeout=60)
    headers = {"Content-Type": "application/x-www-form-urlencoded"} if body is not None else {}
    connection.request(method, path, body, headers)
    response = connection.getresponse()
    return response.status, response.getheader("content-type", ""), response.read().decode()


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/query", 400, "bad_data"),
        ("/query?query=", 400, "bad_data"),
        ("/query?query=sum(", 400, "bad_data"),
        ("/query?query=%F0%28%8C", 400, "bad_data"),
        ("/query?query=up&time=noon", 400, "bad_data"),
        ("/query?query=up&timeout=soon", 400, "bad_data"),
        ("/query?query=up{a=~'('}".replace("'", "%22"), 400, "bad_data"),
        ("/query?query=rate(up)", 400, "bad_data"),
        ("/query?query={}", 400, "bad_data"),
        ("/query?query=nosuch(up)", 400, "bad_data"),
        ("/query?query=" + "(" * 5000 + "1" + ")" * 5000, 400, "bad_data"),
        ("/query?query=up%2Bon(a)group_left()up[5m]", 400, "bad_data"),
        ("/query_range?query=up&start=1&end=2", 400, "bad_data"),
        ("/query_range?query=up&start=1&end=2&step=0", 400, "bad_data"),
        ("/query_range?query=up&start=1&end=2&step=-5", 400, "bad_data"),
        ("/query_range?query=up&start=2&end=1&step=5", 400, "bad_data"),
        ("/query_range?query=up&start=0&end=99999999&step=1", 400, "bad_data"),
        ("/query_range?query=up&start=1e400&end=2&step=5", 400, "bad_data"),
        ("/query_range?query=up[5m]&start=1&end=2&step=1", 400, "bad_data"),
        ("/series", 400, "bad_data"),
        ("/series?match[]=", 400, "bad_data"),
        ("/series?match[]=up{", 400, "bad_data"),
        ("/labels?start=never", 400, "bad_data"),
        ("/label/a%00b%FF/values?match[]=(", 400, "bad_data"),
        ("/query_exemplars?query=up(", 400, "bad_data"),
    ],
)
def test_prometheus(obs: ObsProcess, path: str, status: int, kind: str) -> None:
    got, media, text = ask(obs, PROMETHEUS + path)
    answer = json.loads(text)
    assert (got, media.partition(";")[0], answer["status"]) == (status, "application/json", "error"), text
    assert (answer["errorType"], bool(answer["error"])) == (kind, True)


def test_a_syntax_error_shows_where(obs: ObsProcess) -> None:
    answer = json.loads(ask(obs, f"{PROMETHEUS}/query", "POST", "query=" + quote("sum by (job (up)"))[2])
    assert "1:13" in answer["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/query_range",
        "/query_range?query=",
        "/query_range?query=%7Ba%3D%22b%22",
        "/query_range?query=%7Ba%3D%22b%22%7D%20%7C~%20%22(%22",
        "/query_range?query=%7Ba%3D%22b%22%7D&start=later",
        "/query_range?query=%7Ba%3D%22b%22%7D&limit=-1",
        "/query_range?query=%7Ba%3D%22b%22%7D&direction=sideways",
        "/query_range?query=rate(%7Ba%3D%22b%22%7D%5B5m%5D)&start=1&end=2&step=0",
        "/query?query=sum(",
        "/query?query=" + "(" * 3000,
        "/label/x/values?start=soon",
        "/series?match[]=%7B",
    ],
)
def test_loki(obs: ObsProcess, path: str) -> None:
    status, _, text = ask(obs, LOKI + path)
    assert (status, bool(text.strip())) == (400, True), text
    assert "Internal" not in text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/jaeger/api/traces?service=a&limit=many", 400),
        ("/jaeger/api/traces?service=a&minDuration=fast", 400),
        ("/jaeger/api/traces?service=a&tags=notjson", 400),
        ("/jaeger/api/traces/xyz", 400),
        ("/jaeger/api/traces/0123456789abcdef", 404),
        ("/jaeger/api/dependencies?endTs=now", 400),
        ("/tempo/api/traces/zz", 400),
        ("/tempo/api/traces/0123456789abcdef", 404),
        ("/tempo/api/search?q=" + quote("{ .a = "), 400),
        ("/tempo/api/search?start=x", 400),
        ("/tempo/api/search?limit=x", 400),
        ("/zipkin/api/v2/trace/zz", 400),
        ("/zipkin/api/v2/trace/0123456789abcdef", 404),
        ("/zipkin/api/v2/traces?minDuration=x", 400),
        ("/zipkin/api/v2/spans", 400),
        ("/api/traces/search?order=beautiful", 400),
        ("/api/traces/search?next=nothing", 400),
        ("/api/traces/search?q=" + quote("{ name =~ `(` }"), 400),
        ("/api/traces/nothex", 400),
    ],
)
def test_traces(obs: ObsProcess, path: str, status: int) -> None:
    got, _, text = ask(obs, path)
    assert (got, bool(text.strip())) == (status, True), text
    assert "Internal" not in text


@pytest.mark.parametrize(
    "query",
    [
        "",
        "SELEC 1",
        "SELECT nosuch FROM spans",
        "SELECT * FROM nosuch",
        "SELECT 1; SELECT 2",
        "DROP VIEW spans",
        "CREATE TABLE t AS SELECT 1",
        "INSERT INTO logs VALUES (1)",
        "COPY (SELECT 1) TO '/tmp/obs-was-here.csv'",
        "SELECT * FROM read_csv('/etc/passwd')",
        "SELECT * FROM '/etc/passwd'",
        "SELECT * FROM read_text('/etc/passwd')",
        "SELECT * FROM glob('/*')",
        "SELECT * FROM read_parquet('http://127.0.0.1:1/x.parquet')",
        "ATTACH '/tmp/obs-was-here.db'",
        "INSTALL httpfs",
        "LOAD httpfs",
        "SET enable_external_access = true",
        "SET lock_configuration = false",
        "PRAGMA database_list",
        "EXPORT DATABASE '/tmp/obs-was-here'",
        "CALL pragma_version()",
        "SELECT getenv('HOME')",
    ],
)
def test_sql_reads_only_what_is_stored(obs: ObsProcess, query: str) -> None:
    status, media, text = ask(obs, "/api/sql?q=" + quote(query))
    assert (status, media.partition(";")[0]) == (400, "application/json"), text
    assert json.loads(text)["error"]


def test_sql_comes_in_a_form_or_as_it_is(obs: ObsProcess) -> None:
    assert json.loads(ask(obs, "/api/sql", "POST", "q=SELECT+1+AS+one")[2])["rows"] == [[1]]
    connection = http.client.HTTPConnection(urlparse(obs.url).netloc, timeout=60)
    connection.request("POST", "/api/sql", "SELECT 2 AS two", {"Content-Type": "text/plain"})
    assert json.loads(connection.getresponse().read())["rows"] == [[2]]


def test_a_query_without_end_is_stopped(obs: ObsProcess, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("short")
    (folder / "obs.yml").write_text("sql: {timeout: 1, memory: 64MB}\n")
    with ObsProcess(folder / "data", "--config", str(folder / "obs.yml")) as short:
        status, _, text = ask(short, "/api/sql?q=" + quote("SELECT count(*) FROM range(99999999999) a, range(9999) b"))
        assert (status, "sql.timeout" in json.loads(text)["error"]) == (422, True), text
        wide = "SELECT list(a.range || '-' || b.range) FROM range(100000) a, range(1000) b"
        assert ask(short, "/api/sql?q=" + quote(wide))[0] == 422
        assert ask(short, "/api/sql?q=SELECT+1")[0] == 200


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/nosuch", "GET", 404),
        ("/api/v1/query", "DELETE", 405),
        ("/v1/traces", "GET", 405),
        ("/api/sql", "PUT", 405),
        ("/internal/nosuch", "POST", 404),
    ],
)
def test_other_paths_and_methods(obs: ObsProcess, path: str, method: str, status: int) -> None:
    assert ask(obs, path, method)[0] == status


@pytest.mark.parametrize(
    ("path", "status"), [("/api/sql", 413), ("/api/v1/query", 413), ("/alertmanager/api/v2/silences", 400)]
)
def test_a_body_of_100_mb_is_refused(obs: ObsProcess, path: str, status: int) -> None:
    connection = http.client.HTTPConnection(urlparse(obs.url).netloc, timeout=60)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Transfer-Encoding": "chunked"}
    pieces = (b"query=" + b"x" * 1_000_000 for _ in range(100))
    with contextlib.suppress(ConnectionError):  # refused before it was read whole
        connection.request("POST", path, pieces, headers, encode_chunked=True)
    response = connection.getresponse()
    assert (response.status, b"limit" in response.read()) == (status, True)


def test_a_path_that_there_is_not(obs: ObsProcess) -> None:
    status, kind, text = ask(obs, "/api/v1/nosuch")
    assert (status, kind, json.loads(text)["errorType"]) == (404, "application/json", "not_found")
    status, _, text = ask(obs, "/api/v1/labels", "DELETE")
    assert (status, json.loads(text)["status"]) == (405, "error")


def test_head_is_a_get_without_the_body(obs: ObsProcess) -> None:
    for path in ("/-/healthy", "/-/ready", "/api/v1/query?query=1", "/metrics"):
        assert ask(obs, path, "HEAD")[::2] == (200, "")


def test_any_page_may_read_rules_and_alerts(obs: ObsProcess) -> None:
    for path in ("rules", "alerts", "query?query=1"):
        connection = http.client.HTTPConnection(urlparse(obs.url).netloc, timeout=60)
        connection.request("GET", f"{PROMETHEUS}/{path}", headers={"Origin": "http://page.example"})
        assert connection.getresponse().getheader("Access-Control-Allow-Origin") == "*"


def test_many_connections_at_one_time(obs: ObsProcess) -> None:
    limits = (Path("/proc") / str(obs.process.pid) / "limits").read_text()
    soft, hard = next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files"))
    assert soft == hard
