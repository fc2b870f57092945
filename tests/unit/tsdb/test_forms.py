"""Forms in parts that no client sends: refused as the sender's fault, and at once."""

from __future__ import annotations

import pytest

from obs.errors import UserError
from obs.tsdb import forms

KIND = "multipart/form-data; boundary=b"
PART = b"--b\r\nContent-Disposition: form-data; name=query\r\n\r\nup\r\n"


def test_a_form_in_parts_is_read() -> None:
    assert forms._parts(PART * 3 + b"--b--\r\n", KIND) == [("query", "up")] * 3


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"--b\r\nContent-Type: message/rfc822\r\n\r\nx: y\r\n\r\n--b--\r\n", "parts within parts"),
        (b"--b\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * 3000, "parts within parts"),
        (PART * 1002 + b"--b--\r\n", "more than 1000 parts"),
        (b"x", "no parts with this boundary"),
    ],
)
def test_a_form_that_nobody_sends_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(UserError, match=why):
        forms._parts(body, KIND)
