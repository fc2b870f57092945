"""The text kernels against plain Python that does the same slowly."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from obs import warm
from obs.logstore import pages, tokens
from obs.logstore.matching import contains, matches
from obs.logstore.tokens import FOLD, GRAMS, HEX_DIGITS, SALTS, SYMBOL, token_hash

TEXT = st.text(st.sampled_from("abcXYZ019_ -./:=,\"'()[]{}é€\n\0") | st.characters(codec="utf-8"), max_size=60)


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    warm.load_now("obs.logstore.kernels")


def flat(texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
    parts = [t.encode() for t in texts]
    offsets = np.cumsum([0, *map(len, parts)], dtype=np.int64)
    return np.frombuffer(b"".join(parts), np.uint8), offsets


def plain_tokens(text: str) -> set[bytes]:
    return {t.lower() for t in re.findall(rb"[A-Za-z0-9_]+", text.encode())}


@given(st.lists(TEXT, max_size=40))
@examples(200)
def test_token_hashes_equal_the_plain_ones(texts: list[str]) -> None:
    from obs.logstore.kernels import token_hashes

    table = token_hashes(*flat(texts), FOLD, np.zeros(16, np.uint64))
    expected = {token_hash(t) for text in texts for t in plain_tokens(text)}
    assert sorted(table[table != 0].tolist()) == sorted(expected)
    assert len(expected) * 2 <= table.size


def test_token_hashes_of_many_words_that_come_again() -> None:
    from obs.logstore.kernels import token_hashes

    texts = [f"request {i % 700} of user{i % 5000} took {i}ms" for i in range(20_000)]
    table = token_hashes(*flat(texts), FOLD, np.zeros(16, np.uint64))
    expected = {token_hash(t) for text in texts for t in plain_tokens(text)}
    assert set(table[table != 0].tolist()) == expected


@given(st.lists(st.binary(min_size=16, max_size=16), max_size=60))
@examples(100)
def test_id_hashes_are_those_of_their_digits(ids: list[bytes]) -> None:
    from obs.logstore.kernels import id_hashes

    table = id_hashes(np.frombuffer(b"".join(ids), np.uint8), 16, HEX_DIGITS, np.zeros(16, np.uint64))
    assert set(table[table != 0].tolist()) == {token_hash(i.hex().encode()) for i in ids}


@given(st.lists(st.integers(0, 40), max_size=60))
def test_marked_codes_are_those_that_occur(codes: list[int]) -> None:
    from obs.logstore.kernels import mark_codes

    seen = np.zeros(41, np.uint8)
    mark_codes(np.array(codes, np.int32), seen)
    assert set(np.flatnonzero(seen).tolist()) == set(codes)


@given(st.lists(TEXT, max_size=20))
@examples(100)
def test_trigrams_equal_the_plain_ones(texts: list[str]) -> None:
    from obs.logstore.kernels import trigrams

    seen = np.zeros(GRAMS, np.uint8)
    trigrams(*flat(texts), SYMBOL, seen)
    expected: set[int] = set()
    for text in texts:
        s = [int(SYMBOL[c]) for c in text.encode()]
        expected |= {s[i] << 12 | s[i + 1] << 6 | s[i + 2] for i in range(len(s) - 2)}
    assert set(np.flatnonzero(seen).tolist()) == expected
    for text in texts:
        assert set(tokens.grams(text).tolist()) <= expected


@given(st.sets(st.integers(1, (1 << 64) - 1), min_size=1, max_size=300))
@examples(100)
def test_bloom_filter_equals_the_plain_one(hashes: set[int]) -> None:
    from obs.logstore.kernels import bloom_fill

    words = np.zeros((7, 8), np.uint32)
    bloom_fill(np.array([0, *hashes], np.uint64), SALTS, words)
    expected = [[0] * 8 for _ in range(7)]
    for value in hashes:
        block = ((value >> 32) * 7) >> 32
        for i, salt in enumerate(SALTS.tolist()):
            expected[block][i] |= 1 << (((value & 0xFFFFFFFF) * salt & 0xFFFFFFFF) >> 27)
    assert words.tolist() == expected


BODIES = st.lists(st.none() | TEXT | st.sampled_from(["", "took 12ms", "x" * 300]), min_size=1, max_size=200)


@given(BODIES, st.integers(1, 5), st.integers(1, 60))
@examples(150)
def test_texts_read_by_pages_are_those_arrow_reads(bodies: list[str | None], copies: int, page_rows: int) -> None:
    values = pa.array(bodies * copies, pa.string())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.parquet"
        table = pa.table({"n": list(range(len(values))), "body": values})
        pq.write_table(
            table, path, use_dictionary=False, compression="zstd", write_batch_size=page_rows, data_page_size=200,
            column_encoding={"body": "PLAIN"}, row_group_size=300,
        )  # fmt: skip
        metadata = pq.read_metadata(path)
        groups = [metadata.row_group(i).column(1) for i in range(metadata.num_row_groups)]
        assert all(pages.readable(group) for group in groups)
        read = [pages.read_texts(path, group) for group in groups]
    assert pa.concat_arrays(read).to_pylist() == values.to_pylist()


NUMBERS = [*range(1, 12), 120, 300]  # lengths as bytes: what is looked for may stand in the length before a text


@given(BODIES, st.data(), st.integers(1, 60))
@examples(150)
def test_texts_found_by_pages_are_those_python_finds(
    bodies: list[str | None], data: st.DataObject, page_rows: int
) -> None:
    chosen = data.draw(st.sampled_from(bodies)) or ""
    cut = sorted(data.draw(st.tuples(*[st.integers(0, len(chosen))] * 2)))
    needle = chosen[cut[0] : cut[1]] or data.draw(st.sampled_from([chr(n) for n in NUMBERS]) | TEXT.filter(bool))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.parquet"
        pq.write_table(
            pa.table({"body": pa.array(bodies, pa.string())}), path, use_dictionary=False, compression="zstd",
            write_batch_size=page_rows, data_page_size=200, column_encoding={"body": "PLAIN"},
        )  # fmt: skip
        found = pages.find_texts(path, pq.read_metadata(path).row_group(0).column(0), needle.encode())
    assert found is not None
    expected = [(row, body) for row, body in enumerate(bodies) if body and needle in body]
    assert list(zip(found[0].tolist(), found[1].to_pylist(), strict=True)) == expected


@given(st.lists(TEXT, min_size=1, max_size=60), st.data())
@examples(200)
def test_rows_holding_a_text_are_those_python_finds(texts: list[str], data: st.DataObject) -> None:
    chosen = data.draw(st.sampled_from(texts))
    cut = sorted(data.draw(st.tuples(*[st.integers(0, len(chosen))] * 2)))
    needle = chosen[cut[0] : cut[1]] or data.draw(TEXT.filter(bool))
    start = data.draw(st.integers(0, len(texts)))
    values = pa.array(texts).slice(start)
    assert contains(values, needle).tolist() == [needle in t for t in texts[start:]]


PATTERNS = [
    "took [0-9]+ms",
    "(?i)TOOK \\d",
    "a|took",
    "(?:took) x*",
    "x(?P<n>b)c",
    "(?s:a.b)",
    "took",
    "[a-z]b.*c",
    ".*",
]


@given(
    st.lists(TEXT | st.sampled_from(["took 5ms", "TOOK 5", "took x", "axbc"]), min_size=1), st.sampled_from(PATTERNS)
)
@examples(150)
def test_a_regex_is_found_where_re2_finds_it(texts: list[str], pattern: str) -> None:
    values = pa.array(texts * 300)
    assert matches(values, pattern).tolist() == pc.match_substring_regex(values, pattern).to_pylist()


def test_pages_that_are_broken_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"body": ["one", "two"]}), path, use_dictionary=False, compression="zstd")
    chunk = pq.read_metadata(path).row_group(0).column(0)
    whole = path.read_bytes()
    for at in range(4, 4 + chunk.total_compressed_size):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        try:
            found = pages.read_texts(path, chunk)
            held = pages.find_texts(path, chunk, b"o")
        except (OSError, pa.ArrowException):
            continue
        assert found is None or len(found) == 2
        assert held is None or len(held[0]) == len(held[1]) <= 2


@given(st.lists(TEXT, min_size=30, max_size=200), st.lists(st.integers(0, 29), min_size=1, max_size=5))
@examples(60)
def test_texts_of_some_rows_are_those_of_all(bodies: list[str], rows: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.parquet"
        pq.write_table(
            pa.table({"body": bodies}), path, use_dictionary=False, compression="zstd", write_batch_size=3,
            data_page_size=20,
        )  # fmt: skip
        read = pages.read_texts(path, pq.read_metadata(path).row_group(0).column(0), np.sort(np.array(rows)))
    assert read is not None
    assert [read[i].as_py() for i in rows] == [bodies[i] for i in rows]
