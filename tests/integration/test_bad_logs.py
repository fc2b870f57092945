"""Log records that nobody should send: over OTLP and Loki's push they are kept or refused in words, and are found
in the head and in blocks alike.
"""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import pytest
from obs_process import ObsProcess
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs_pb
from opentelemetry.proto.common.v1 import common_pb2

Send = Callable[[ObsProcess, str, str, Mapping[str, str]], tuple[int, str]]
KEYS = {f"key{i}": f"value{i}" for i in range(5000)}
DEEP = '{"a":' * 200 + '"bottom"' + "}" * 200


def post(url: str, path: str, body: bytes, kind: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection(urlparse(url).netloc, timeout=60)
    connection.request("POST", path, body, {"Content-Type": kind})
    response = connection.getresponse()
    return response.status, response.read().decode()


def otlp(obs: ObsProcess, service: str, line: str, attributes: Mapping[str, str]) -> tuple[int, str]:
    """The body may hold bytes that are no UTF-8, as surrogates."""
    request = logs_pb.ExportLogsServiceRequest()
    scope = request.resource_logs.add()
    scope.resource.attributes.add(key="service.name", value=common_pb2.AnyValue(string_value=service))
    record = scope.scope_logs.add().log_records.add(time_unix_nano=time.time_ns())
    record.attributes.extend(
        common_pb2.KeyValue(key=k, value=common_pb2.AnyValue(string_value=v)) for k, v in attributes.items()
    )
    raw = line.encode("utf-8", "surrogateescape")
    record.body.string_value = "?" * len(raw)
    body = request.SerializeToString().replace(b"?" * len(raw), raw)
    return post(obs.otlp_http, "/v1/logs", body, "application/x-protobuf")


def loki(obs: ObsProcess, service: str, line: str, attributes: Mapping[str, str]) -> tuple[int, str]:
    streams = [{"stream": {"service_name": service}, "values": [[str(time.time_ns()), "?", attributes]]}]
    text = json.dumps(line, ensure_ascii=False).encode("utf-8", "surrogateescape")
    body = json.dumps({"streams": streams}).encode().replace(b'"?"', text)
    return post(obs.url, "/loki/api/v1/push", body, "application/json")


@pytest.fixture(scope="module")
def obs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObsProcess]:
    with ObsProcess(tmp_path_factory.mktemp("bad") / "data") as process:
        yield process
        assert process.process.poll() is None
        assert "Traceback" not in process.errors()


def lines(obs: ObsProcess, query: str) -> list[str]:
    streams = obs.client.loki.query_range(query, 1, time.time_ns() + 10**12, limit=100).result
    return [value[1] for stream in streams for value in stream["values"]]


@pytest.mark.parametrize("send", [otlp, loki])
@pytest.mark.parametrize(
    ("name", "line", "attributes", "stages"),
    [
        ("long", "begin " + "x" * 10_000_000 + " end", {}, ['|= "x end"', "begin", "|~ `^begin x+ end$`"]),
        ("nul", "a\0b", {}, ['|= "a\\x00b"', '|~ "a.b"']),
        ("utf8", "caf\udce9 \udcff\udcfe", {}, ['|= "caf\ufffd"', '| line_format "{{ __line__ }}" |= "\ufffd\ufffd"']),
        ("colours", "\x1b[31mred\x1b[0m text", {}, ['|~ "red.*text$"', '|= "red"', "text"]),
        ("keys", "many", KEYS, ['| key4999="value4999"', '"value4999"', '| key0=~"value0" | key2500 != ""']),
        ("json", json.dumps(KEYS), {}, ['| json | key4999="value4999"', "value4999", '| json last="key4999"']),
        ("deep", DEEP, {}, ["| json | " + "_".join("a" * 200) + '="bottom"', "bottom", '|= "bottom"']),
        ("backtrack", "a" * 3000 + "!", {}, ["|~ `^(a+)+!$`", "!~ `(a+)+$`", "| regexp `(?P<x>(a|aa)+)!` | x!=``"]),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 10 else "",
)
def test_what_is_odd_is_kept_and_found(
    obs: ObsProcess, send: Send, name: str, line: str, attributes: Mapping[str, str], stages: list[str]
) -> None:
    service = f"{name}-{send.__name__}"
    status, said = send(obs, service, line, attributes)
    assert status in (200, 204), said
    kept = line.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    for _ in ("head", "block"):
        for stage in stages:
            query = f'{{service_name="{service}"}} {stage if stage[0] in "|!" else json.dumps(stage.strip(chr(34)))}'
            assert lines(obs, query) == [kept], query
        obs.client.flush()


def test_a_body_of_objects_too_deep_is_refused_in_words(obs: ObsProcess) -> None:
    value: dict[str, Any] = {"stringValue": "bottom"}
    for _ in range(200):
        value = {"kvlistValue": {"values": [{"key": "a", "value": value}]}}
    request = {"resourceLogs": [{"scopeLogs": [{"logRecords": [{"body": value}]}]}]}
    status, said = post(obs.otlp_http, "/v1/logs", json.dumps(request).encode(), "application/json")
    assert (status, "messages nest deeper than 100" in said, len(said) < 400) == (400, True, True)


@pytest.mark.parametrize("send", [otlp, loki])
def test_a_long_line_is_cut_with_a_mark_where_that_is_asked_for(tmp_path: Path, send: Send) -> None:
    (tmp_path / "obs.yml").write_text("processors: {max_line: 1MiB}")
    with ObsProcess(tmp_path / "data", "--config", str(tmp_path / "obs.yml")) as obs:
        assert send(obs, "cut", "begin " + "é" * 5_000_000, {})[0] in (200, 204)
        (line,) = lines(obs, '{service_name="cut"}')
    assert line.startswith("begin éé")
    assert line.endswith("é [cut by obs: 10000006 bytes]")
    assert len(line.removesuffix(" [cut by obs: 10000006 bytes]").encode()) in ((1 << 20) - 1, 1 << 20)


def test_two_types_under_one_key_are_one_label(obs: ObsProcess) -> None:
    typed = [{"intValue": "5"}, {"stringValue": "five"}, {"doubleValue": 5.5}, {"boolValue": True}]
    records = [
        {"timeUnixNano": str(time.time_ns() + i), "body": {"stringValue": f"line {i}"},
         "attributes": [{"key": "dual", "value": value}]}
        for i, value in enumerate(typed)
    ]  # fmt: skip
    structured = {"kvlistValue": {"values": [{"key": "msg", "value": {"stringValue": "deep inside"}},
                                             {"key": "n", "value": {"intValue": "7"}}]}}  # fmt: skip
    records.append({"timeUnixNano": str(time.time_ns() + 9), "body": structured})
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "typed"}}]}
    request = {"resourceLogs": [{"resource": resource, "scopeLogs": [{"logRecords": records}]}]}
    assert post(obs.otlp_http, "/v1/logs", json.dumps(request).encode(), "application/json")[0] == 200
    found = {
        '| dual = "five"': [1], "| dual = 5": [0], "| dual > 5": [2], '| dual = "true"': [3], '| dual =~ "5.*"': [2, 0],
        '| dual != ""': [3, 2, 1, 0],
    }  # fmt: skip
    for _ in ("head", "block"):
        for stage, numbers in found.items():
            assert lines(obs, f'{{service_name="typed"}} {stage}') == [f"line {i}" for i in numbers], stage
        for stage in ('"deep inside"', '|= "deep inside"', '|~ "dee. ins"', "| json | n = 7 | __error__ = ``"):
            assert [json.loads(line) for line in lines(obs, f'{{service_name="typed"}} {stage}')] == [
                {"msg": "deep inside", "n": 7}
            ]
        obs.client.flush()
