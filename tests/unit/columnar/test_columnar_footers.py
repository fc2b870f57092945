"""A damaged footer of Parquet is known before Arrow reads it, which would end the process."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from obs.columnar import footers
from obs.columnar.block import Block, BlockFolderWriter, describe
from obs.errors import CorruptionError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    writer = BlockFolderWriter(tmp_path / "block")
    writer.parquet("rows", pa.table({"n": [1, 2, 3]}))
    writer.finish(describe("block", "", (1, 1), (0, 1), writer, "rows", {"of": "the layout"}, 0))
    return tmp_path / "block"


def test_a_whole_block_is_read(folder: Path) -> None:
    block = Block.load(folder)
    assert block.read("rows").to_pydict() == {"n": [1, 2, 3]}
    assert block.meta.extra["of"] == "the layout"


def test_any_other_byte_of_the_footer_is_corruption(folder: Path) -> None:
    file = folder / "rows.parquet"
    written = file.read_bytes()
    length = pq.read_metadata(file).serialized_size + footers.TAIL_BYTES
    assert length > 100
    for back in range(1, length + 1):
        damaged = bytearray(written)
        damaged[-back] ^= 0x41
        file.write_bytes(damaged)
        with pytest.raises(CorruptionError, match="cannot read block 'block': rows.parquet has another footer"):
            Block.load(folder)
    file.write_bytes(written)
    assert Block.load(folder).read("rows").num_rows == 3


def test_blocks_without_checksums_of_footers_are_read(folder: Path) -> None:
    assert footers.damaged(folder, {}) is None
