"""What `obs doctor` makes of the ledger."""

from __future__ import annotations

from typing import Any

import pytest

from obs.cli.doctor import ledger


@pytest.mark.parametrize(
    ("stored", "dropped", "state"),
    [
        (10, {}, "ok"),
        (4, {"sampled_out": 6}, "ok"),
        (4, {"sampled_out": 5, "time_out_of_range": 1}, "warning"),
        (9, {}, "error"),
        (4, {"sampled_out": 5}, "error"),
    ],
)
def test_what_was_dropped_against_ones_will_is_a_warning(stored: int, dropped: dict[str, Any], state: str) -> None:
    entry = {"signal": "traces", "receiver": "tail_sampling", "received": 10, "stored": stored, "dropped": dropped}
    ((_, found, facts),) = ledger({"ledger": [entry]})
    assert found == state
    assert f"10 received, {stored} stored" in facts
