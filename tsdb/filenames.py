"""Every name that the metric store uses on disk. The engine's own names are in `obs.columnar.filenames`."""

from __future__ import annotations

STORE = "metrics"
"""The folder under the data directory."""

SAMPLES = "samples"
"""`samples.parquet`: ordinal, t_ms, value_int, value_double, scale; sorted by ordinal, then time."""

SERIES = "series"
"""`series.parquet`: the series of the block's rows, sorted by metric name, then labels; row n has ordinal n."""

LABELS = "labels"
"""`labels.parquet`: name, value, min_ms, max_ms; the label names of the block's series and their values."""

EXEMPLARS = "exemplars"
"""`exemplars.parquet`: series_id, t_ms, value, labels; in the order of the series, then time."""

METADATA = "metadata"
"""`metadata.parquet`: metric, type, unit, help; all that was known when the block's rows came in."""

HISTOGRAMS = "histograms"
"""`histograms.parquet`: series_id, t_ms and the buckets of native histograms; in the order of the series, then time."""

STARTS = "starts"
"""`starts.parquet`: series_id, t_ms, start_ms of samples with a start; in the order of the series, then time."""

SNAPSHOTS = "snapshots"
"""A folder of the data folder: what `/api/v1/admin/tsdb/snapshot` made, each a data folder of its own."""
