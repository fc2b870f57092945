"""Rows with a text, found by the pages of a Parquet column, are those that Arrow's reader finds."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from obs import warm
from obs.columnar import kernels_pages
from obs.columnar.pages import ColumnChunk, equal_texts, has_texts

TEXTS = st.sampled_from(["", "a", "b", "aa", "ab", "\0", "\x02\0\0\0aa", "größer", "x" * 300]) | st.text(max_size=5)


@pytest.fixture(scope="module", autouse=True)
def _compiled() -> None:
    warm.load_now("obs.tracestore.kernels")


@given(
    st.lists(st.none() | TEXTS, min_size=1, max_size=60), st.integers(1, 40), st.data(), st.booleans(),
    st.sampled_from(["zstd", "none"]), st.integers(1, 60), st.sampled_from([20, 1 << 18]),
)  # fmt: skip
@examples(200)
def test_rows_with_a_text_are_those_arrow_finds(
    some: list[str | None], times: int, data: st.DataObject, coded: bool, codec: str, page_rows: int, most: int
) -> None:
    texts = [text for text in some for _ in range(times if data.draw(st.booleans()) else 1)]
    wanted = data.draw(st.sampled_from([t for t in some if t is not None] or ["a"]) | TEXTS)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.parquet"
        pq.write_table(
            pa.table({"n": range(len(texts)), "text": pa.array(texts, pa.string())}), path, use_dictionary=coded,
            compression=codec, write_batch_size=page_rows, data_page_size=200, dictionary_pagesize_limit=most,
        )  # fmt: skip
        footer = pq.read_metadata(path)
        assert has_texts(footer, 0, 1) and not has_texts(footer, 0, 0)
        file = os.open(path, os.O_RDONLY)
        try:
            found = equal_texts(file, ColumnChunk.of(footer.row_group(0).column(1)), wanted.encode())
        finally:
            os.close(file)
    assert found.tolist() == [text == wanted for text in texts]


@pytest.mark.parametrize("coded", [False, True])
def test_pages_cut_short_are_told(tmp_path: Path, coded: bool) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table({"text": [f"text {i % 50}" for i in range(400)]}), path, use_dictionary=coded)
    chunk = ColumnChunk.of(pq.read_metadata(path).row_group(0).column(0))
    whole = path.read_bytes()
    for cut in range(chunk.start, chunk.start + chunk.packed_bytes, 7):
        path.write_bytes(whole[:cut])
        file = os.open(path, os.O_RDONLY)
        try:
            with pytest.raises(OSError, match="cannot read|ZSTD|zstd|Corrupt|corrupt"):
                equal_texts(file, chunk, b"text 7")
        finally:
            os.close(file)


ABSURD = [1 << 60, (1 << 60) + 1, (1 << 63) - 1, 1 << 62, (1 << 62) + 1, (1 << 58) + 1, 0, 1]
"""Heads of runs: longer than any page, some by just so much that a product with a width is small again, or empty."""


@pytest.mark.parametrize("lead", ABSURD)
def test_runs_longer_than_their_page_are_refused(lead: int) -> None:
    """None of these reads where no byte is, nor goes on for ever."""
    head, hits = varint(lead), np.zeros(8, np.bool_)
    levels = len(head + b"\x01").to_bytes(4, "little") + head + b"\x01"
    assert kernels_pages.levels(np.frombuffer(levels, np.uint8), np.ones(8, np.uint8)) == -1
    all_there = b"\x02\0\0\0\x10\x01"
    for width in (0, 16, 32):
        codes = np.frombuffer(all_there + bytes([width]) + head + bytes(40), np.uint8)
        assert not kernels_pages.equal_codes(codes, np.ones(8, np.uint8), 0, hits)


def varint(value: int) -> bytes:
    return bytes([value]) if value < 128 else bytes([value & 127 | 128]) + varint(value >> 7)
