"""Every name this room has on disk. The engine owns the folders, meta.json and the WAL; see obs/columnar."""

from __future__ import annotations

STORE = "traces"
"""The store's name in the engine: its folder under the data directory and the label of its own metrics."""

SPANS = "spans"
"""Table `spans.parquet`: one row a span, sorted by (trace id, start); see FORMAT.md."""

TRACES = "traces"
"""Table `traces.parquet`: one row a trace of the block, sorted by trace id."""

LINKS = "links"
"""Table `links.parquet`: one row a link of a span to another trace, sorted by what is linked to; absent without any."""

CATALOG = "catalog.json"
"""Services and their operations, and the calls between services, of the block."""
