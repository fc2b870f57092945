"""The level that a line speaks of."""

from __future__ import annotations

import pytest

from obs.collector.receivers.levels import LOOKED_AT, line_severity

DEBUG, INFO, WARN, ERROR, FATAL = 5, 9, 13, 17, 21


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("level=warn msg=x", WARN),
        ('{"ts":1,"level":"error","msg":"INFO"}', ERROR),
        ('{"severity": "DEBUG"}', DEBUG),
        ("ts=1 lvl=info", INFO),
        ('{"log":{"level":"x"}} [error] late', ERROR),
        ("2026-01-02 03:04:05 ERROR [main] com.shop.Cart - failed", ERROR),
        ("[warn] disk", WARN),
        ("error: no such file", ERROR),
        ("FATAL: role does not exist", FATAL),
        ("<info> started", INFO),
        ("an error happened to information", 0),
        ("ERRORS=0 sublevel=error INFORMATION", 0),
        ("", 0),
        ("x" * LOOKED_AT + " ERROR", 0),
    ],
)
def test_levels(line: str, number: int) -> None:
    assert line_severity(line) == number
