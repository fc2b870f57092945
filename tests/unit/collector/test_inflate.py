"""Content encodings: what comes out, and that bombs and damage are refused."""

import gzip
import zlib

import cramjam
import pytest

from obs.collector.inflate import inflate
from obs.errors import TooLarge, UnsupportedMedia, UserError

BODY = b"telemetry " * 1000


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("", BODY),
        ("identity", BODY),
        ("gzip", gzip.compress(BODY, mtime=0)),
        ("GZIP", gzip.compress(BODY[:5000], mtime=0) + gzip.compress(BODY[5000:], mtime=0)),
        ("deflate", zlib.compress(BODY)),
        ("deflate", zlib.compress(BODY)[2:-4]),
        ("zstd", bytes(cramjam.zstd.compress(BODY))),
    ],
)
def test_inflates(encoding: str, packed: bytes) -> None:
    assert inflate(packed, encoding, len(BODY)) == BODY


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_refused(encoding: str) -> None:
    zeros = bytes(50_000_000)
    packed = {"gzip": gzip.compress, "deflate": zlib.compress, "zstd": cramjam.zstd.compress}[encoding](zeros)
    with pytest.raises(TooLarge, match="inflates to more than 1000000 bytes"):
        inflate(bytes(packed), encoding, 1_000_000)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "zstd"])
@pytest.mark.parametrize("damaged", [b"not packed at all", b""])
def test_damage_is_told(encoding: str, damaged: bytes) -> None:
    if damaged:
        with pytest.raises(UserError, match="cannot inflate"):
            inflate(damaged, encoding, 1000)
    else:
        assert inflate(damaged, encoding, 1000) == b""


def test_a_cut_stream_is_told() -> None:
    with pytest.raises(UserError, match="cannot inflate"):
        inflate(gzip.compress(BODY, mtime=0)[:-20], "gzip", len(BODY))


def test_a_body_of_countless_members_is_refused() -> None:
    with pytest.raises(UserError, match="more than 10000 members"):
        inflate(gzip.compress(b"", mtime=0) * 10_001, "gzip", 1000)


def test_unknown_encodings_name_the_known_ones() -> None:
    with pytest.raises(UnsupportedMedia, match="gzip, deflate, zstd"):
        inflate(b"", "br", 10)
