"""Which blocks are merged: neighbours of a like size, never past rows that they must not overtake."""

from __future__ import annotations

from pathlib import Path

import pytest

from obs.columnar.block import Block
from obs.columnar.compaction import pause_s, plan_merge, rest_factor, waiting
from obs.columnar.meta import BlockMeta, FileFacts
from obs.columnar.options import EngineOptions
from obs.columnar.retention import past_retention

MB = 1 << 20
OPTIONS = EngineOptions(compact_max_bytes=100 * MB, compact_max_rows=1000)


def block(text: str) -> Block:
    """`partition generations size(MB) times`, e.g. `A 1-3 10 0..5`; times may be left out. `r10`: it was repeating."""
    partition, generations, size, times = [*text.split(), "0..9"][:4]
    repeated, size = size.startswith("r"), size.removeprefix("r")
    low, high = (int(x) for x in [*generations.split("-"), generations][:2])
    bounds = [int(x) for x in times.split("..")]
    replaces, rows_in = (("older",), 20) if repeated else ((), 10)
    meta = BlockMeta(
        text, partition, low, high, bounds[0], bounds[1], 10, {"rows": 10}, int(size) * MB, {}, 0, replaces,
        rows_in=rows_in,
    )  # fmt: skip
    return Block(Path(text), meta)


@pytest.mark.parametrize(
    ("blocks", "merged"),
    [
        ("A 1 1, A 2 1, A 3 1", ""),
        ("A 1 1, A 2 1, A 3 1, A 4 1", "A 1 1, A 2 1, A 3 1, A 4 1"),
        ("A 1 1, B 2 1, A 3 1, B 4 1", ""),
        ("A 1-4 90, A 5 1, A 6 1, A 7 1, A 8 1", "A 5 1, A 6 1, A 7 1, A 8 1"),
        ("A 1-4 16, A 5 1, A 6 1, A 7 1", "A 1-4 16, A 5 1, A 6 1, A 7 1"),
        ("A 1 40, A 2 40, A 3 40, A 4 40", ""),
        ("A 1 30, A 2 30, A 3 30, A 4 5, A 5 5, A 6 5, A 7 5", "A 4 5, A 5 5, A 6 5, A 7 5"),
        ("A 1 200, A 2 1, A 3 1, A 4 1, A 5 1", "A 2 1, A 3 1, A 4 1, A 5 1"),
        ("A 1 1 0..5, A 2 1 0..5, Y 2 1 3..4, A 3 1 0..5, A 4 1 0..5", ""),
        ("A 1 1 0..5, A 2 1 0..5, Y 2 1 6..9, A 3 1 0..5, A 4 1 0..5",
         "A 1 1 0..5, A 2 1 0..5, A 3 1 0..5, A 4 1 0..5"),
        ("Y 1 1 0..9, A 1 1 0..5, A 2 1 0..5, A 3 1 0..5, A 4 1 0..5",
         "A 1 1 0..5, A 2 1 0..5, A 3 1 0..5, A 4 1 0..5"),
        ("A 1-4 r40, A 5-8 r40, A 9-12 r40", "A 1-4 r40, A 5-8 r40"),
        ("A 1-4 r40, A 5-8 40, A 9-12 r40", ""),
        ("A 1-4 r60, A 5-8 r60", ""),
        ("A 1-4 r40, A 5-8 r40, A 9 1, A 10 1, A 11 1, A 12 1", "A 9 1, A 10 1, A 11 1, A 12 1"),
        ("A 1 r40 0..5, Y 2 1 3..4, A 3 r40 0..5", ""),
    ],
)  # fmt: skip
def test_plans(blocks: str, merged: str) -> None:
    given = sorted((block(b) for b in blocks.split(", ")), key=lambda b: b.order)
    assert ", ".join(b.name for b in plan_merge(given, OPTIONS)) == merged


@pytest.mark.parametrize(
    ("blocks", "merged"),
    [
        ("A 1 40, A 2 40, A 3 40, A 4 40", "A 1 40, A 2 40, A 3 40, A 4 40"),
        ("A 1 40, A 2 40, A 3 x40, A 4 40, A 5 40", ""),
        (", ".join(f"A {i} 400" for i in range(1, 12)), ", ".join(f"A {i} 400" for i in range(1, 9))),
    ],
)
def test_blocks_that_are_merged_as_they_are_read_are_bound_by_their_rows(blocks: str, merged: str) -> None:
    given = [block(b.replace("x", "")) for b in blocks.split(", ")]
    whole = {b.name for b, text in zip(given, blocks.split(", "), strict=True) if "x" in text}
    options = EngineOptions(compact_max_bytes=100 * MB, compact_max_rows=89)  # ten in each
    plan = plan_merge(given, options, held=lambda b: None if b.name in whole else 0)
    assert ", ".join(b.name for b in plan) == merged


def test_any_number_of_flushes_ends_in_few_blocks() -> None:
    blocks: list[Block] = []
    for generation in range(1, 2000):
        blocks.append(block(f"A {generation} 1"))
        while run := plan_merge(blocks, OPTIONS):
            size = sum(b.meta.decoded_bytes for b in run) // MB
            merged = block(f"A {run[0].meta.low}-{run[-1].meta.high} {size}")
            blocks = sorted([*(b for b in blocks if b not in run), merged], key=lambda b: b.order)
    assert len(blocks) <= 4 * 2000 // 100


@pytest.mark.parametrize(
    ("blocks", "count"),
    [
        ("A 1 1, A 2 1, A 3 1", 0),
        ("A 1 1, A 2 1, A 3 1, A 4 1", 4),
        ("A 1 1, A 2 1, B 3 1, B 4 1, C 5 1, C 6 1", 0),
        ("A 1 1, A 2 1, A 3 90, A 4 1, A 5 1", 0),
        ("A 1 1 0..5, A 2 1 0..5, Y 2 1 3..4, A 3 1 0..5, A 4 1 0..5", 0),
        ("A 1 r90, B 2 r90, C 3 r90, D 4 r90", 0),
    ],
)
def test_blocks_that_no_merge_will_take_do_not_wait(blocks: str, count: int) -> None:
    given = sorted((block(b) for b in blocks.split(", ")), key=lambda b: b.order)
    assert waiting(given, OPTIONS) == count


def test_senders_are_slowed_down_while_merges_lag_behind() -> None:
    assert waiting([block(f"A {i} 25") for i in range(56)] + [block("A 99 60")], OPTIONS) == 56
    assert pause_s(24, 100 * MB) == 0
    assert pause_s(56, MB) == pytest.approx(1 / 16)
    assert pause_s(56, 1000) < 0.0001
    assert pause_s(56, 100 * MB) == 0.25


@pytest.mark.parametrize(("small", "large", "factor"), [(12, 500, 2.0), (13, 0, 0.5), (41, 0, 0.0)])
def test_compaction_rests_less_the_more_waits(small: int, large: int, factor: float) -> None:
    blocks = [block(f"A {i} 25") for i in range(small)] + [block(f"A {i} 26") for i in range(large)]
    assert rest_factor(blocks, OPTIONS) == factor


@pytest.mark.parametrize(
    ("age_s", "max_bytes", "dropped"),
    [
        (None, None, ""),
        (10e-9, None, "A 1 1 0..20, B 2 1 0..89"),
        (10e-9, 1 << 60, "A 1 1 0..20, B 2 1 0..89"),
        (None, 0, "A 1 1 0..20, B 2 1 0..89, A 3 1 50..95"),
        (200e-9, None, ""),
    ],
)
def test_retention(age_s: float | None, max_bytes: int | None, dropped: str) -> None:
    blocks = [block("A 3 1 50..95"), block("B 2 1 0..89"), block("A 1 1 0..20")]
    for b in blocks:
        b.meta.files["rows.parquet"] = FileFacts(100, 0)  # type: ignore[index]
    assert ", ".join(b.name for b in past_retention(blocks, 100, age_s, max_bytes)) == dropped
