"""How files write the values that are no numbers: the word for a stale marker where a format is ours, and other NaN."""

from __future__ import annotations

STALE_TEXT = "stale"

CANONICAL_NAN_BITS = (0x7FF8000000000000, 0x7FF8000000000001)
"""The NaN of Python and numpy, and that of Go: text that says NaN is read as such."""
