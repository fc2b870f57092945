"""Frames: what is written is read; a torn end is told from damage."""

from __future__ import annotations

import pytest

from obs.columnar.frame import End, Part, decode_payload, encode_frame, frames, how_it_ends

PARTS = [Part(0, "spans", b"schema and batch"), Part(7, "värden", b"")]
FRAME = encode_frame(3, PARTS)
OTHER = encode_frame(0, [Part(1, "logs", bytes(1000))])


def read(data: bytes) -> tuple[list[bytes], End]:
    view = memoryview(data)
    found = list(frames(view, 0))
    end = found[-1][0] + 12 + len(found[-1][1]) if found else 0
    return [payload for _, payload in found], how_it_ends(view, end)


def test_round_trip() -> None:
    payloads, end = read(FRAME)
    assert end is End.CLEAN
    assert decode_payload(payloads[0]) == (3, PARTS)


@pytest.mark.parametrize("cut", [1, 4, 11, 12, 13, len(FRAME) - 1])
def test_a_cut_last_frame_is_torn(cut: int) -> None:
    payloads, end = read(OTHER + FRAME[:cut])
    assert (len(payloads), end) == (1, End.TORN)


@pytest.mark.parametrize("at", [0, 4, 6, 8, 12, 30])
def test_a_flipped_bit_before_a_good_frame_is_damage(at: int) -> None:
    broken = bytearray(FRAME)
    broken[at] ^= 0x40
    payloads, end = read(OTHER + bytes(broken) + OTHER)
    assert (len(payloads), end) == (1, End.DAMAGED)


@pytest.mark.parametrize("rest", [b"", bytes(5000), b"oFrm" * 100])
def test_what_follows_the_last_good_frame(rest: bytes) -> None:
    payloads, end = read(FRAME + rest)
    assert (len(payloads), end) == (1, End.TORN if rest else End.CLEAN)
