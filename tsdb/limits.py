"""Each number the metric store holds itself to, with its reason."""

from __future__ import annotations

from dataclasses import dataclass

FIRST_MS, LAST_MS = -(1 << 63), (1 << 63) - 1
"""The first and the last time that a sample may have."""

ROW_GROUP_ROWS = 65_536
"""Rows of a row group of samples: a single series costs the decoding of its pages (of 20,000 rows, by Arrow's writer),
many cost that of the whole; half of it would double the footer, twice of it saves under 1 % of size."""

FEW_ROWS, FEW_GROUPS = 2, 2
"""Of a row group at most one row in so many, and at most so many row groups, are decoded alone: of a block of very many
series a metric is a third of a row group, and its neighbours are seldom asked for with it. What wants most of a row
group, or many, has them decoded whole and kept."""

DECODED_TOGETHER = 4
"""Row groups from which on several threads decode them: fewer are nearly done before another thread is awake."""

UNPACKED_TOGETHER = 16
"""Row groups whose pages are unpacked before they are decoded: 2 MB or more, by whoever asks."""

SERIES_GROUP_ROWS = 16_384
"""Rows of a row group of series: what a query reads for one metric of a block whose series are not in memory yet."""

LEARNED_ROWS, LEARNED_ALONE = 4_096, 1_024
"""Series that the index learns at a time when it reads a block, where someone waits for all of them and where nobody
does: whoever then asks something else shares the interpreter with so many (5 ms), not with all. That costs a third
more."""

MOST_VALUES = 65_536
"""Values of a label name that a block lists by themselves; names with more are ids of a kind, and are found by way of
their series."""

SLICE_ROWS = 4 * ROW_GROUP_ROWS
"""Rows that are scaled and encoded at one time: its columns are 2 MB each, which the next slice uses again."""

MAX_SCALE = 9
"""Decimal digits after the point that are tried: nanoseconds in seconds. Past it what is exact by chance costs more
bits as a scaled integer than as a double."""

MAX_MANTISSA = 1 << 53
"""Integers up to here are doubles; an exact quotient of two such numbers is the nearest double to the decimal."""

MISFITS_SHIFT = 6
"""A scale fits a series when at most 1 in 64 of its finite samples is not exact; those few are kept as doubles."""

TAIL_SERIES = 4_096
"""Series that postings leave unsorted at least: to scan them takes under 0.1 ms."""

SETTLED_SHARE = 4
"""Postings take in the newest series when they are a quarter of all: 300,000 of them are scanned in 3 ms."""

GIVE_WAY_S = 0.05
"""How long the reading of more labels waits for questions under way, each 1,024 series, and the writing of a block each
`SLICE_ROWS`: labels of a million may take 50 seconds longer where someone asks all the time. Meanwhile what names its
metric is answered; whoever needs all of them waits for no pause."""

MANY_LEARNED = 1_000
"""New series of an append that is read back from the WAL after which questions have their turn."""

KERNELS_FIRST_S, KERNELS_FIRST_SERIES = 2.5, 200_000
"""How long the labels of more series than that wait until compiled kernels are loaded after a start, which takes a
second alone and twice as long beside them. Fewer are read in a third of a second."""

GLANCE_S = 0.002
"""How often it looks whether they are answered."""

BRISK_S = 0.0005
"""How long a thread that wants the interpreter waits for one that has it while labels are read after a start: with
Python's 5 ms a question that reads sixteen blocks would wait most of a second in all."""

METADATA_PER_METRIC = 10
"""Differing descriptions kept of one metric, the latest; more are a sender's bug."""

SLICE_SAMPLES = 500_000
"""Samples of one slice of a selection that is read in slices: 8 MB, and as much again on the way."""

RECOVERY_WAIT_S = 60.0
"""How long a delete waits for the WAL to be read back before it is refused: recovery is done by then, mostly."""

SORTED_RUN_ROWS = 16_384
"""Rows of a head that are worth keeping sorted for the next query: fewer are sorted in a quarter of a millisecond."""

PART_ROWS = 1 << 19
"""Samples of one part of a selection: 8 MB where they are copied, and half a millisecond a part whatever it reads."""

MANY_SOURCES = 4
"""Blocks whose row groups are decoded side by side where a query reads one part: fewer take under 10 ms. Of so many
parts several are read at a time anyhow."""

FEW_SHARE = 16
"""Of a head's rows that nobody sorted yet those of few series (one in so many) are picked out at once, in 4 ms of a
million rows, where sorting them all takes 60."""

PASSED_BY = 8
"""Stored rows that weigh as one that is read, where a query wants a moment of series that are hours long: their
row groups are mostly decoded already, and a part costs a quarter of a millisecond whatever it reads. One whose groups
are not decoded yet takes 32 MB."""

MOST_WRITTEN = 64
"""Blocks whose series are kept from their writing until they are asked for, half a second at most: one flush makes 31
at the very most. Past it they are read back, as after a start."""

AHEAD_S = 0.5
"""How often the series of new blocks are read ahead of queries: those of a million take a third of a second."""

CHANGE_GRAIN_MS = 10_000
"""How exactly it is known from when on samples changed: a day of writes in order is 8,640 entries."""

MOST_CHANGES = 16_384
"""Entries kept of what writes touched; past it two become one, and older answers count as changed sooner."""

KEPT_MATCHES, FEW_MATCHES = 64, 4_096
"""Answers to which series satisfy some matchers that are kept, of so many series each at most: 2 MB."""

KEPT_LABELS = 200_000
"""Labels of series that were selected lately, whose columns and groups are kept for the next query that selects the
same: about 32 bytes each."""

KEPT_GROUPINGS = 8
"""Ways to group the same series that are kept of each selection."""

STATUS_TOP = 10
"""Entries of each list of status/tsdb, as in Prometheus, where no limit is given."""

MOST_STATUS_TOP = 10_000
"""Entries of each list of status/tsdb at most, as in Prometheus."""


RECOUNT_S = 30.0
"""The series of metrics at their limit are counted anew at most so often: a million take a tenth of a second."""

MAX_REFUSED = 1 << 18
"""Ids of refused series that are remembered (12 MB); past it all are forgotten and their senders asked for labels."""

INDEX_ROOM = 2
"""Label sets in the index for each series allowed: those that lost their last rows stay in it until the next start."""

NAMED_METRICS = 100
"""Metrics whose dropped samples are counted by name, so that a flood of names makes no flood of our own series."""

OTHER_METRICS = "(other metrics)"
"""Under this name the dropped samples of all further ones are counted; no metric can be called so."""

TOLD_METRICS = 3
"""Metrics that one answer to a sender names."""

LABELS_WAIT_S = 2.0
"""How long after opening new series wait for those of the blocks and the WAL, so that limits count right from the
first; a larger store takes new series without limits until it has read all."""


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What a user may set about the metric store."""

    max_series: int = 5_000_000  # with rows in the store; about 300 bytes of index each
    max_series_per_metric: int = 200_000  # a fifth of the million that 4 GB serve well, so that one metric is no flood
    cache_bytes: int = 256 << 20  # decoded samples of blocks, 16 bytes each
    max_rows: int = 50_000_000  # samples read for one selector: what PromQL allows a query, about 2 GB on the way
