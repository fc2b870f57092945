"""Each number of this room, with its reason."""

from __future__ import annotations

ROW_GROUP_ROWS = 32_768
"""Rows of one row group: what a query reads at least. 32 Ki bodies of 100 bytes decode in about 6 ms; half
as many double the footer, which at 40 columns already costs a quarter of a byte a record."""

PAGE_BYTES = 256 << 10
"""Decoded bytes of a page: what is read for one line. Pages of 1 MB take 1.5 % less on disk and four times as long."""

MERGE_BYTES = 100 << 20
"""Decoded bytes that a merge reads at most, so that it makes no block larger than a full head of 96 MiB does. Writing a
record costs twice what taking it in does: blocks are made large at once, not small and then merged."""

HEAD_SLICE_ROWS = 65_536
"""Rows of the head that a query looks at in one go; bounds what masks and matches allocate."""

SHARED_DICTIONARY_VALUES = 256
"""Values of a dictionary that all row groups of a block may share: each row group writes it whole, and ten thousand
container ids would cost ten bytes a record."""

SCAN_THREADS = 2
"""Row groups read side by side by one query. Decoding and matching release the GIL; the server has two cores."""

TOKEN_FILTER_BITS = 14
"""Bits a distinct token in a split-block Bloom filter: one false row group in about 700."""

CELL_ROWS = 64
"""Records that a cell of counts stands for, on average, at least, where an interval of an hour allows: a cell costs
some six bytes on disk and 50 in memory."""

CELL_SEVERITIES = 64
"""Pairs of severity number and text past which a block has no cells; loggers have ten at most."""

MAX_STREAMS_CACHED = 1_000_000
"""Streams whose labels are kept in memory (about 500 bytes each); past it the oldest are derived again."""

MAX_SCHEMAS_CACHED = 4_096
"""Sets of columns whose stream labels are known; a sender has a few."""

PATTERN_SHAPES = 4_000
"""Shapes of lines that become templates, of a block or of an answer: those of the most lines. Each costs some 20 µs."""

BLOCK_INDEXES_CACHED = 256
"""Blocks whose footer, streams and filters stay open; about 100 KB each beside the mapped filter file."""

DEFAULT_ENTRIES = 100
"""Lines a query returns where it names no `limit`; Loki's number."""

MAX_ENTRIES = 50_000
"""Lines one query may ask for; Loki stops at 5,000, which its users raise."""

MAX_CONTEXT = 5_000
"""Lines before or after a line that one request shows: more than anybody reads."""

TIED_ENTRIES = 1_000_000
"""Records of one and the same nanosecond that pages may walk through: the places of those before a page are found anew
for each, 32 bytes a record."""

MAX_STEPS = 11_000
"""Steps of one range query; Prometheus' number, enough for one a pixel of any screen."""

MAX_SERIES = 20_000
"""Series one metric query may build; past it the answer helps nobody."""

MAX_CELLS = 10_000_000
"""Values (series × steps) one metric query may build: each takes some 50 bytes while windows are summed up, so half a
GB; 10,000 series at 1,000 steps, or 900 at the most steps there may be."""

QUERY_SECONDS = 60.0
"""How long one query may run."""

MAX_LABEL_VALUES = 10_000
"""Values `label/<name>/values` returns; a list longer than that cannot be picked from."""

FIELD_SAMPLE_ROWS = 1_024
"""Bodies of a block that are parsed to see which labels become columns: 5 ms."""

FIELD_SHARE = 8
"""Of so many records one at least has a label that becomes a column."""

FIELD_SHARE_UNIQUE = 2
"""The same of a label whose values do not repeat: its column takes a byte and more of each record, found or not."""

FIELD_COLUMNS = 24
"""Labels of bodies that become columns of a block: those that most records have. Each costs some 40 ns a record."""

FIELD_BYTES = 12
"""Bytes of a value, on average, past which a label whose values do not repeat becomes no column."""

PARSED_KEYS = 256
"""Labels that `| json` or `| logfmt` may make of any slice of rows; further keys are left in the line."""

PARSED_CELLS = 4_000_000
"""Labels times rows that they may make where rows are few: 9 bytes each where most are absent. Six thousand keys of a
record are then all found in a slice of 600."""

FOLLOW_BATCHES = 256
"""Batches a tail may be behind before the oldest are dropped and counted; 256 of 2,000 records are seconds of a full
load, and a client that stops reading holds no more than they do."""

FOLLOW_BYTES = 32 << 20
"""Bytes a tail may be behind, where batches are large: what it is sent at once becomes objects of ten times that."""

FOLLOW_PAUSE_S = 0.1
"""How long a tail waits before it looks for new records: below what an eye calls late."""

SETTLE_S = 10.0
"""How long a tail waits for batches on their way to the disk as it begins; what takes longer may come twice."""

MAX_UNWRAPPED = 20_000_000
"""Records whose label is worked on by one query: 16 bytes each."""

MAX_QUERY_CHARS = 131_072
"""Length of a LogQL text, which is Loki's own bound: past it reading the text, not the data, is the cost."""

MAX_QUERY_DEPTH = 500
"""Parentheses within each other: whoever writes a query needs ten, and each is a call within a call."""
