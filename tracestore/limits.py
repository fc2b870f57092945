"""Each number of this room, with its reason."""

from __future__ import annotations

FLUSH_BYTES = 128 << 20
"""Decoded bytes of spans that are written as one block, some 700,000 of them: a block of that size is never
merged under load, so that each span is written once. Half as much is merged later, for as much CPU time again."""

ROW_GROUP_ROWS = 16_384
"""Rows of one row group: what reading one trace decodes at least (about 5 ms at 40 columns). Half as many would
add half a byte a span to the footer."""

TRACE_GROUP_ROWS = 131_072
"""Rows of one row group of the traces table, which is read whole: a few MB decoded."""

PLAIN_SHARE = 0.25
"""Distinct values per row past which a column is written without a dictionary: zstd alone is smaller there."""

SAMPLE_ROWS = 4_096
"""Rows that are looked at to decide on a dictionary."""

ZSTD_LEVEL = 1
"""Level 3 takes 2 % off the size of span columns for half as much CPU again."""

MAX_OPERATIONS = 10_000
"""Operations of one service that a block's catalog names: names with ids in them must not make it outgrow the data."""

INDEXES_BYTES = 160 << 20
"""Memory for traces tables and footers of blocks that stay decoded, about 12 bytes a span at ten spans a trace: the
newest 13 million spans. Older blocks are opened by each query that needs them (about 5 ms each)."""

SCAN_THREADS = 2
"""Blocks read side by side by one query: decoding releases the GIL, and the server has two cores."""

ROWS_AT_ONE_TIME = 1_048_576
"""Rows of a block that a query decodes at one time and thread: eight bytes a row and column that it reads."""

ROWS_A_THREAD = 131_072
"""Rows of a block that are worth a thread of their own: some ms of decoding."""

SERVICES_KEPT = 64
"""Services of a block whose traces are remembered, a bit a trace each: what the last searches asked for."""

REMEMBERED_CHARS = 1_000
"""Length of a condition whose traces of a block are remembered: what is longer is hardly asked twice."""

EDGE_CELLS_KEPT = 200_000
"""Buckets of edges that are remembered by block and condition, 100 bytes each: of 16 services some twenty conditions
over ten blocks."""

EDGES_ENTRY_CELLS = 16
"""What remembering the edges of a block takes beside its buckets: its key, mostly the condition's text."""

DEFAULT_LIMIT = 20
"""Traces a search returns where it names no limit; Jaeger's and Tempo's number."""

MAX_LIMIT = 10_000
"""Traces one page may hold; beyond it, page."""

MAX_REGEX_CHARS = 1_000
"""Length of a regular expression in a query: past it the compiled automaton, not the data, is the cost."""

MAX_QUERY_CHARS = 16_384
"""Length of a TraceQL text."""

MAX_QUERY_DEPTH = 200
"""Conditions, operators and arithmetic of one query within each other: what Python's stack holds with room to spare."""

MAX_METRIC_STEPS = 11_000
"""Points of one series, as Prometheus has it."""

MAX_METRIC_SERIES = 10_000
"""Series, or buckets of series, of one metric: more can neither be drawn nor read."""

MAX_METRIC_CELLS = 2_000_000
"""Points of all series of one metric together: 16 MB a sum while they are counted."""

MAX_EXEMPLARS = 1_000
"""Exemplars of one series that may be asked for."""

DEFAULT_EXEMPLARS = 100
"""Exemplars of one series where a query says nothing; Tempo's number."""

TRACES_JOINED_AT_ONE_TIME = 50_000
"""Traces with spans in several places that a metric puts together at one time."""

MAX_TAG_VALUES = 1_000
"""Values that a tag's list shows; a longer list cannot be picked from."""

GROUPS_FOR_KEYS = 4
"""Groups of rows whose events and links are read for their keys: 65,000 spans, some 50 ms where each has events."""

TEXTS_FOR_KEYS = 5_000
"""Distinct texts of attributes of one place that are looked into for keys: texts of errors have the same keys."""

SPANS_PER_SPANSET = 3
"""Matching spans that a TraceQL search shows of each trace; Tempo's number."""

MAX_SPANSETS_PER_TRACE = 100
"""Spansets of one trace that a search shows: `by(span:id)` makes one of every span."""

MAX_SPANS_PER_SPANSET = 1_000
"""The most that may be asked for."""

SPANS_PER_PAGE = 10_000
"""Spans of one trace that our own API sends at once; a larger trace is read in pages."""

MAX_MISSING = 1_000
"""Ids of missing parents that a trace's answer names; their number is in its warnings."""

SPANS_PER_PIECE = 2_000
"""Spans that are made into JSON at a time where an answer is sent in pieces: a trace of 200,000 spans takes no more
memory than these, and other requests get their turn between them."""

GRPC_MESSAGE_BYTES = 1 << 20
"""A message of spans over gRPC: clients refuse those past 4 MiB."""

SUMMARIES_PER_MESSAGE = 1_000
"""Summaries of traces in one message over gRPC, some 200 bytes each."""

SPANS_PER_ANSWER = 100_000
"""Spans of several traces in full that Jaeger's and Zipkin's searches answer with: some 5 KB each while they are made
into JSON. A single trace may have more."""

SPLIT_ROWS_KEPT = 500_000
"""Rows of split traces that stay in memory between two service graphs, about 80 bytes each."""

VERIFY_BATCH = 8
"""Traces past a search's limit that are put together at first, if they have rows in several places: some may not
match as a whole. Four times as many follow each time that is not enough."""

MONITOR_POINTS = 11_000
"""Points of one series of the monitor; Prometheus's number. A shorter step is lengthened."""

MONITOR_POINTS_OF_MANY = 1_000
"""Points of each series where there is one an operation: they are shown as lines in a table."""

MONITOR_SERIES = 1_000
"""Operations that one answer of the monitor has; of names with ids in them nobody reads more."""

MONITOR_LATEST_MS = 2**63 // 10**6 - 1
"""The last millisecond that has a time in ns."""

LINK_GROUP_ROWS = 8_192
"""Rows of one row group of the links: what finding the links to a trace decodes of each block, about 1 ms."""

MAX_LINKS = 10_000
"""Links that one answer shows: a trace that all others link to would name them all."""

LINKS_IN_DETAIL = 1_000
"""Links to a trace that its own answer names beside its spans; the others are in the answer of its links."""

MAX_LINKED_TRACES = 200
"""Traces that one answer looks up on its way along links, some ms each."""

MAX_HOPS = 10
"""How far links are followed in one answer."""

TRACES_ANALYSED = 1_000
"""Traces that an analysis of whole traces goes over, where its query names no limit; MAX_LIMIT is the most."""

MAX_HEAT_COLUMNS = 1_000
"""Columns of a heat map: more than a screen has no eye tells apart."""

LEAST_TESTED = 5
"""Spans that must have a value before it is tested: fewer can prove nothing, and each test takes from the others."""

FEW_VALUES = 1_000
"""Values past which an attribute that hardly repeats is taken for an id, and not tested."""

MAX_DIFFERENCES = 100
"""Differences that one answer tells, the clearest first."""

MAX_FOLDED_CHARS = 50_000_000
"""Characters of all folded stacks together: a chain of 200,000 spans would have hundreds of gigabytes of them."""
