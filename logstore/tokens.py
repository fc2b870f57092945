"""Tokens and trigrams of a text, and the filter file made of them: built at flush, read before any text.

In: string columns of row groups, or the words of a query. Out: `tokens.idx`, or which row groups may hold the words.
The kernels build; reading is numpy alone, so a query never waits for a compiler.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

MAGIC = b"OBSLTK1\n"
GRAMS = 1 << 18
ALIGN = 64

SALTS = np.array(
    [0x47B6137B, 0x44974D91, 0x8824AD5B, 0xA2B7289D, 0x705495C7, 0x2DF1424B, 0x9EFC4947, 0x5C6BFB31], np.uint32
)
"""Source: Apache Parquet, BloomFilter.md."""


def _fold_table() -> npt.NDArray[np.uint8]:
    """Bytes past ASCII lie between tokens: a word beside a dash or a quote of Unicode is then still a word."""
    table = np.zeros(256, np.uint8)
    for c in b"abcdefghijklmnopqrstuvwxyz0123456789_":
        table[c] = c
    for c in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        table[c] = c + 32
    return table


def _symbol_table() -> npt.NDArray[np.uint8]:
    """Bytes to 64 classes: folded letters, digits, `_`, common punctuation; the rest share what is left."""
    table = np.zeros(256, np.uint8)
    for i, c in enumerate(b"abcdefghijklmnopqrstuvwxyz0123456789_ -./:=,\"'()[]{}%<>&?;"):
        table[c] = i + 1
    for c in range(0x80, 0x100):
        table[c] = 60 + (c & 3)
    for c in b"ABCDEFGHIJKLMNOPQRSTUVWXYZ":
        table[c] = table[c + 32]
    return table


FOLD = _fold_table()
SYMBOL = _symbol_table()
HEX_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)
_MASK = (1 << 64) - 1


def token_hash(token: bytes) -> int:
    """The hash of one folded token, as `kernels.token_hashes` computes it: FNV-1a, then spread."""
    h = 0xCBF29CE484222325
    for c in token:
        h = ((h ^ c) * 0x100000001B3) & _MASK
    h = ((h ^ (h >> 32)) * 0x9E3779B97F4A7C15) & _MASK
    return (h ^ (h >> 32)) or 1


def words(text: str) -> list[tuple[bytes, bool, bool]]:
    """The folded tokens of a text, each with whether it touches the text's start and its end."""
    folded = FOLD[np.frombuffer(text.encode(), np.uint8)].tobytes()
    found, at = [], 0
    for part in folded.split(b"\0"):
        if part:
            found.append((part, at == 0, at + len(part) == len(folded)))
        at += len(part) + 1
    return found


def grams(text: str) -> npt.NDArray[np.int64]:
    """The distinct trigrams of a text."""
    s = SYMBOL[np.frombuffer(text.encode(), np.uint8)].astype(np.int64)
    return np.unique((s[:-2] << 12) | (s[1:-1] << 6) | s[2:]) if len(s) >= 3 else np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Needle:
    """What a row must contain, as far as the filters know: whole tokens by hash, and trigrams."""

    hashes: tuple[int, ...] = ()
    trigrams: tuple[int, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.hashes or self.trigrams)


def substring_needle(text: str) -> Needle:
    """What a row with `text` anywhere in it contains: inner tokens are whole, those at the edges may be cut."""
    inner = {token_hash(w) for w, first, last in words(text) if not (first or last)}
    return Needle(tuple(sorted(inner)), tuple(int(g) for g in grams(text)))


def phrase_needle(text: str) -> Needle:
    """What a row with `text` as whole words contains, in either case."""
    hashes = {token_hash(w) for w, _, _ in words(text)}
    return Needle(tuple(sorted(hashes)))


@dataclass(frozen=True, slots=True)
class Field:
    """The filters of one field of a block, one a row group: blocks[i] blocks of 32 bytes at starts[i]."""

    starts: npt.NDArray[np.int64]
    blocks: npt.NDArray[np.int64]


class TokenIndex:
    """A block's filter file, mapped; answers which of its row groups may hold a needle."""

    def __init__(self, path: Path) -> None:
        self._map = np.memmap(path, np.uint8, mode="r")
        head, base = _read_head(bytes(self._map[:12]), self._map)
        self.row_groups = int(head["row_groups"])
        self._words = self._map[base : base + int(head["filter_bytes"])].view(np.uint32).reshape(-1, 8)
        self._fields = {f["name"]: _field(f["blocks"], int(f["start"])) for f in head["fields"]}
        self._gram_base = base + int(head["filter_bytes"])
        self._gram_chunks = head["grams"]
        self._gram_cache: dict[int, npt.NDArray[np.uint8]] = {}

    def may_contain(self, fields: Sequence[str], needle: Needle) -> npt.NDArray[np.bool_]:
        """Row groups where every token may be in one of `fields`: bool[row_groups].

        Trigrams count only where the one field asked for is the body.
        """
        alive = np.ones(self.row_groups, np.bool_)
        for value in needle.hashes:
            alive &= self._any_field(fields, value)
        if tuple(fields) == ("body",):
            for gram in needle.trigrams:
                if not alive.any():
                    break
                alive &= self._gram_groups(gram)
        return alive

    def _any_field(self, fields: Sequence[str], value: int) -> npt.NDArray[np.bool_]:
        hit = np.zeros(self.row_groups, np.bool_)
        for name in fields:
            field = self._fields.get(name)
            hit |= True if field is None else self._probe(field, value)
        return hit

    def _probe(self, field: Field, value: int) -> npt.NDArray[np.bool_]:
        block = field.starts + (((value >> 32) * field.blocks) >> 32)
        bits = np.uint32(1) << ((np.uint32(value & 0xFFFFFFFF) * SALTS) >> np.uint32(27))
        live = field.blocks > 0
        hit = np.zeros(self.row_groups, np.bool_)
        hit[live] = ((self._words[block[live]] & bits) == bits).all(axis=1)
        return hit

    def _gram_groups(self, gram: int) -> npt.NDArray[np.bool_]:
        chunk = self._gram_chunk(gram >> 12)
        packed = chunk[gram & 0xFFF]
        return np.unpackbits(packed, count=self.row_groups, bitorder="little").astype(np.bool_)

    def _gram_chunk(self, number: int) -> npt.NDArray[np.uint8]:
        cached = self._gram_cache.get(number)
        if cached is None:
            start, end = self._gram_chunks[number]
            raw = _inflate(bytes(self._map[self._gram_base + start : self._gram_base + end]))
            cached = np.frombuffer(raw, np.uint8).reshape(4096, -1)
            self._gram_cache[number] = cached
        return cached


def _field(blocks: Sequence[int], start: int) -> Field:
    counts = np.array(blocks, np.int64)
    return Field(start + np.concatenate(([0], np.cumsum(counts)[:-1])), counts)


def _read_head(first: bytes, data: npt.NDArray[np.uint8]) -> tuple[dict[str, Any], int]:
    if first[:8] != MAGIC:
        raise ValueError("not a token filter file")
    (length,) = struct.unpack("<I", first[8:12])
    head: dict[str, Any] = json.loads(bytes(data[12 : 12 + length]))
    return head, -(-(12 + length) // ALIGN) * ALIGN


def encode_index(fields: dict[str, list[npt.NDArray[np.uint32]]], gram_sets: Sequence[npt.NDArray[np.uint8]]) -> bytes:
    """The filter file: per field one filter a row group (uint32[blocks, 8]), and each row group's trigram marks."""
    parts: list[bytes] = []
    table, start = [], 0
    for name, filters in fields.items():
        blocks = [len(f) for f in filters]
        table.append({"name": name, "start": start, "blocks": blocks})
        parts += [f.tobytes() for f in filters]
        start += sum(blocks)
    chunks, packed = _encode_grams(gram_sets)
    head = {
        "version": 1,
        "row_groups": len(gram_sets),
        "filter_bytes": start * 32,
        "fields": table,
        "grams": chunks,
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    lead = MAGIC + struct.pack("<I", len(text)) + text
    return b"".join([lead, b"\0" * (-len(lead) % ALIGN), *parts, *packed])


def _encode_grams(gram_sets: Sequence[npt.NDArray[np.uint8]]) -> tuple[list[tuple[int, int]], list[bytes]]:
    """Turned around: for each trigram a bit a row group; 64 chunks by the first symbol, each deflated."""
    bits = np.packbits(np.array(gram_sets, np.uint8).reshape(-1, GRAMS), axis=0, bitorder="little").T
    chunks, packed, at = [], [], 0
    for number in range(64):
        data = _deflate(np.ascontiguousarray(bits[number * 4096 : (number + 1) * 4096]).tobytes())
        chunks.append((at, at + len(data)))
        packed.append(data)
        at += len(data)
    return chunks, packed


def _deflate(data: bytes) -> bytes:
    import cramjam

    return bytes(cramjam.zstd.compress(data, level=1))


def _inflate(data: bytes) -> bytes:
    import cramjam

    return bytes(cramjam.zstd.decompress(data))
