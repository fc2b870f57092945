"""Detected fields and labels: what is in attributes and lines, of head and blocks."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from log_recipes import NS, Record, logs_batch

from obs.logstore.api import router
from obs.logstore.delete_requests import DeleteRequests
from obs.logstore.logql import LogQL
from obs.logstore.logql.stages.json_parser import json_fields
from obs.logstore.store import LogStore

CART = {"service.name": "cart", "host.name": "a", "container.id": "0af7651916cd43dd"}
RECORDS = [
    Record(1 * NS, '{"took":"5ms","size":"10KB","ok":true,"http":{"status":500},"list":[1],"host_name":"x"}', CART),
    Record(2 * NS, '{"took":"1m2s","size":"2MiB","ok":false,"http":{"status":404.5}}', CART, {"n": 7}),
    Record(3 * NS, 'level=info user=bob msg="all is well" flag', CART, {"n": 8, "user": "root"}),
    Record(4 * NS, "nothing here", {"service.name": "ad", "host.name": "b", "container.id": "12"}),
]


@pytest.fixture(params=["head", "block"])
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TestClient]:
    store = LogStore(tmp_path)
    store.open()
    store.consume(logs_batch(RECORDS))
    if request.param == "block":
        store.flush()
    app = FastAPI()
    app.include_router(router(store, LogQL(store), DeleteRequests(store, tmp_path / "deletes.json")))
    with TestClient(app, base_url="http://obs/loki/api/v1/") as client:
        client.params = {"start": "0", "end": "10"}
        yield client
    store.close()


def test_fields_of_lines_and_attributes(client: TestClient) -> None:
    fields = client.get("detected_fields", params={"query": '{service_name="cart"}'}).json()["fields"]
    found = {f["label"]: (f["type"], f["cardinality"], f["parsers"], f.get("jsonPath")) for f in fields}
    assert found["took"] == ("duration", 2, ["json"], ["took"])
    assert found["size"] == ("bytes", 2, ["json"], ["size"])
    assert found["ok"] == ("boolean", 2, ["json"], ["ok"])
    assert found["http_status"] == ("float", 2, ["json"], ["http", "status"])
    assert found["host_name_extracted"] == ("string", 1, ["json"], ["host_name"])
    assert found["n"] == ("int", 2, None, None)
    assert found["user"] == ("string", 1, None, None)
    assert found["user_extracted"] == ("string", 1, ["logfmt"], None)
    assert found["msg"] == ("string", 1, ["logfmt"], None)
    assert not {"list", "flag", "__error__"} & set(found)


def test_fields_that_a_query_parsed(client: TestClient) -> None:
    fields = client.get("detected_fields", params={"query": '{service_name="cart"} | json | ok="true"'}).json()
    found = {f["label"]: f["parsers"] for f in fields["fields"]}
    assert found["http_status"] is None
    assert "n" not in found


def test_limits(client: TestClient) -> None:
    answer = client.get("detected_fields", params={"query": "{}", "line_limit": "1", "limit": "2"}).json()
    assert (len(answer["fields"]), answer["limit"]) == (2, 2)
    assert "took" not in {f["label"] for f in answer["fields"]}
    refused = client.get("detected_fields", params={"query": "{}", "line_limit": "0"})
    assert (refused.status_code, refused.text) == (400, "cannot answer with line_limit 0: it must be above zero")


def test_values(client: TestClient) -> None:
    assert client.get("detected_field/took/values", params={"query": "{}"}).json()["values"] == ["1m2s", "5ms"]
    assert client.get("detected_field/none/values", params={"query": "{}"}).json()["values"] == []


def test_a_metric_query_has_no_fields(client: TestClient) -> None:
    answer = client.get("detected_fields", params={"query": "count_over_time({}[1m])"})
    assert answer.status_code == 400
    assert "computes numbers" in answer.text


def test_labels_worth_a_choice(client: TestClient) -> None:
    found = client.get("detected_labels").json()["detectedLabels"]
    assert {"label": "service_name", "cardinality": 2} in found
    assert {"label": "host_name", "cardinality": 2} in found
    only_ad = client.get("detected_labels", params={"query": '{service_name="ad"}'}).json()["detectedLabels"]
    assert "container_id" not in {f["label"] for f in only_ad}


@pytest.mark.parametrize("depth", [200, 1_000])
def test_deep_json_is_parsed(depth: int) -> None:
    found = json_fields('{"a":' * depth + '"x"' + "}" * depth)
    assert found is not None
    assert found[0][0] == "_".join("a" * depth)
