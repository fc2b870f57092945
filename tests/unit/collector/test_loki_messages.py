"""Loki's protobuf: what no body may cost."""

from __future__ import annotations

import pytest

from obs.collector.receivers.loki import messages
from obs.errors import UserError


@pytest.mark.parametrize("body", [b"\x0a\x00", b"\x0a\x80\x89\x7a" + b"\x12\x00" * 1_000_000 + b"\x0a\x02\x12\x00"])
def test_very_many_streams_or_entries_are_refused_before_they_are_parsed(body: bytes) -> None:
    body *= 1_000_001 if len(body) == 2 else 1
    with pytest.raises(UserError, match="more than 1000000 items"):
        next(messages.from_protobuf(body))


def test_very_much_metadata_is_refused_before_it_is_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "MAX_METADATA", 20)
    with pytest.raises(UserError, match="more than 20 items"):
        next(messages.from_protobuf(b"\x0a\x42\x12\x40" + b"\x1a\x00" * 32))
