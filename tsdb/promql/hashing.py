"""The hash by which limit_ratio picks series: XXH64 over the labels, byte for byte as Prometheus lays them out.

So that the same series are picked as Prometheus picks. Source: https://github.com/Cyan4973/xxHash (its specification)
"""

from __future__ import annotations

from obs.model.labels import Labels

_MASK = (1 << 64) - 1
_P1, _P2, _P3 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9
_P4, _P5 = 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5


def labels_hash(labels: Labels) -> int:
    """uint64 of a label set: every name and value behind its length."""
    return xxh64(b"".join(_sized(text) for pair in labels for text in pair))


def _sized(text: str) -> bytes:
    data = text.encode()
    size = bytes([len(data)]) if len(data) < 255 else b"\xff" + len(data).to_bytes(3, "little")
    return size + data


def _rotate(value: int, bits: int) -> int:
    return ((value << bits) | (value >> (64 - bits))) & _MASK


def _round(lane: int, word: int) -> int:
    return _rotate((lane + word * _P2) & _MASK, 31) * _P1 & _MASK


def xxh64(data: bytes) -> int:
    """XXH64 with seed 0."""
    words = [int.from_bytes(data[i : i + 8], "little") for i in range(0, len(data) // 8 * 8, 8)]
    striped = len(data) // 32 * 4
    digest = _stripes(words[:striped]) if striped else _P5
    digest = (digest + len(data)) & _MASK
    for word in words[striped:]:
        digest = (_rotate(digest ^ _round(0, word), 27) * _P1 + _P4) & _MASK
    tail = data[len(words) * 8 :]
    if len(tail) >= 4:
        digest = (_rotate(digest ^ (int.from_bytes(tail[:4], "little") * _P1 & _MASK), 23) * _P2 + _P3) & _MASK
        tail = tail[4:]
    for byte in tail:
        digest = _rotate(digest ^ (byte * _P5 & _MASK), 11) * _P1 & _MASK
    digest = (digest ^ (digest >> 33)) * _P2 & _MASK
    digest = (digest ^ (digest >> 29)) * _P3 & _MASK
    return digest ^ (digest >> 32)


def _stripes(words: list[int]) -> int:
    lanes = [(_P1 + _P2) & _MASK, _P2, 0, -_P1 & _MASK]
    for i, word in enumerate(words):
        lanes[i % 4] = _round(lanes[i % 4], word)
    digest = sum(_rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18), strict=True)) & _MASK
    for lane in lanes:
        digest = ((digest ^ _round(0, lane)) * _P1 + _P4) & _MASK
    return digest
