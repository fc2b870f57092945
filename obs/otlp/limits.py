"""Each number the decoder holds items to, with its reason."""

MAX_LABELS = 256
"""Labels of one series, its name included. Fleets stay under 50; a set of thousands is a bug of the sender, and
every label costs in each index and each answer."""

MAX_CACHED_SERIES = 1_000_000
"""Raw series identities a `SeriesCache` keeps; past it the cache starts again. About 130 bytes each."""

MAX_DELTA_SERIES = 1_000_000
"""Series whose running total is kept while they arrive as deltas; the one silent for longest goes first. A bucket of a
native histogram counts as a series, as those of other histograms do: each takes some 100 bytes."""

MAX_DELTA_BUCKETS = 320
"""Buckets on a side of a histogram that deltas add up to; past it its resolution is halved. SDKs send up to 160."""

MAX_TIME_NS = 2**63 - 1
"""The last instant the canonical schemas can hold: the year 2262."""

MAX_EXPLAINED_BYTES = 1 << 20
"""How far into a malformed body the plain search for the faulty byte goes: it is slow, and a body may be large."""

MAX_ITEMS = 1_000_000
"""Spans, records or data points of one body: an empty record takes two bytes on the wire and a hundred here."""

MAX_NESTING = 500
"""Lists and objects in one another, in a value that is kept as JSON. What people nest by hand stays under ten; Python
writes and reads a thousand levels, some of which its own calls need."""

SPARSE_ROWS = 64
"""Rows to one value past which a column is none, in a body with more attributes than a batch has columns for: each
value then takes 256 bytes at most."""

RESOURCE_COLUMNS = 64
"""Attributes of resources that have a column however few rows have them, and beside the columns that a batch may have:
those of a fleet behind one gateway. Of 400,000 rows they take 100 MB."""
