"""Which of the two protocols a content type names."""

import pytest

from obs.collector.receivers.remote_write.http import MESSAGES, is_second
from obs.errors import UnsupportedMedia


@pytest.mark.parametrize(
    ("content_type", "second"),
    [
        ("application/x-protobuf", False),
        (f"application/x-protobuf;proto={MESSAGES[0]}", False),
        (f'Application/X-Protobuf; proto="{MESSAGES[1]}"', True),
        (f"application/x-protobuf; charset=utf-8; proto={MESSAGES[1]}", True),
        (f"application/x-protobuf; proto={MESSAGES[1]}; charset=utf-8", True),
    ],
)
def test_the_protocol(content_type: str, second: bool) -> None:
    assert is_second(content_type) is second


@pytest.mark.parametrize("content_type", ["", "application/json", "application/x-protobuf;proto=other"])
def test_others_are_refused(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia, match="send application/x-protobuf"):
        is_second(content_type)
