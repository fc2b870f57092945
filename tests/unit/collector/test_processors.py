"""Redaction and cutting: what is stored of texts that must not be stored as they came."""

from __future__ import annotations

from typing import Any

import pytest
from log_recipes import Record, logs_batch

from obs.collector.processors.cut import Cut
from obs.collector.processors.redact import NAMED, Redaction, Rule
from obs.errors import ConfigError
from obs.model.batch import Batch
from obs.otlp.records import Record as Sent
from obs.otlp.records import cells, decoded, texts


def redacted(text: str, *names: str, rules: tuple[Rule, ...] = ()) -> str:
    batch = Redaction(names, rules)(logs_batch([Record(1, text)]))
    return str(batch.tables["logs"].column("body")[0].as_py())


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("email", "mail to Jo.Doe+x@shop.example.com now", "mail to *** now"),
        ("email", "user@host is no address", "user@host is no address"),
        ("credit_card", "card 4111 1111 1111 1234 ok", "card ***1234 ok"),
        ("credit_card", "order 12345678", "order 12345678"),
        ("ipv4", "from 10.1.2.3:80 and 999.1.1.1", "from ***:80 and 999.1.1.1"),
        ("iban", "pay DE44 5001 0517 5407 3249 31.", "pay ***."),
        ("ssn", "ssn 123-45-6789", "ssn ***"),
        ("jwt", "t=eyJhbGciOi.eyJzdWIi.c2ln-_", "t=***"),
        ("bearer", "Authorization: Bearer abcdef123456", "Authorization: Bearer ***"),
        ("aws_key", "key AKIAIOSFODNN7EXAMPLE", "key ***"),
        ("secret", 'password=hunter2 "api_key": "k-1", pwd: x', 'password=*** "api_key": "***", pwd: ***'),
        ("private_key", "-----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY-----\n", "***\n"),
    ],
)
def test_named_patterns(name: str, text: str, expected: str) -> None:
    assert redacted(text, name) == expected


def test_every_named_pattern_compiles() -> None:
    assert redacted("nothing here", *NAMED) == "nothing here"


def test_own_regexes_with_groups() -> None:
    assert (
        redacted("session=abc id=7", rules=(Rule(r"(session)=\w+", r"\1=gone"), Rule(r"\d"))) == "session=gone id=***"
    )


def all_texts(batch: Batch) -> str:
    return str([column.to_pylist() for column in batch.tables["logs"].columns])


def test_attributes_of_every_kind() -> None:
    values: dict[str, Any] = {"plain": "a@b.example", "list": ["x", "a@b.example"], "n": 5}
    many = {f"k{i}": "a@b.example" for i in range(600)}
    records = [
        Sent("a@b.example", resource=texts({"owner": "a@b.example", "env": "t"}), attributes=cells(values)),
        Sent("fine", resource=texts({"env": "t"}), attributes=cells({})),
        Sent(None, attributes=cells(many)),
    ]
    batch = decoded(records).batch
    done = Redaction(["email"], [])(batch)
    assert "a@b.example" in all_texts(batch)
    assert "a@b.example" not in all_texts(done)
    logs, was = done.tables["logs"], batch.tables["logs"]
    assert logs.schema == was.schema
    assert logs.column("resource.env:str").to_pylist() == ["t", "t", None]
    assert logs.column("resource.owner:str").to_pylist() == ["***", None, None]
    assert logs.column("attr.list:json")[0].as_py() == '["x","***"]'
    assert logs.column("attr.n:int")[0].as_py() == 5
    assert [len(o or []) for o in logs.column("attr_overflow").to_pylist()] == [
        len(o or []) for o in was.column("attr_overflow").to_pylist()
    ]


@pytest.mark.parametrize(
    ("names", "rules"), [(["emial"], ()), ([], (Rule("("),)), ([], (Rule("(?=x)"),)), ([], (Rule("a", r"\3"),))]
)
def test_what_cannot_be_used_is_told(names: list[str], rules: tuple[Rule, ...]) -> None:
    with pytest.raises(ConfigError, match=r"processors\.redact"):
        Redaction(names, rules)


def test_long_bodies_are_cut_and_say_so() -> None:
    batch = logs_batch([Record(1, "short"), Record(2, "ü" * 10), Record(3, None)])
    assert Cut(7)(batch).tables["logs"].column("body").to_pylist() == ["short", "üüü [cut by obs: 20 bytes]", None]
    assert Cut(100)(batch) is batch
