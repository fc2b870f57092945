"""Every limit of the agent, with its reason."""

from __future__ import annotations

CGROUPS_MAX = 2_000
"""Cgroups read in one pass; some 40 series each. More is a runaway, and `obs_agent_cgroups_skipped` tells it."""

OOM_KEEP_S = 900.0
"""How long an OOM kill of a vanished cgroup is still told: long enough for any rule to see it."""

OOM_CGROUPS_MAX = 500
"""Cgroups of which OOM kills are remembered."""

CONTAINER_LABELS_MAX = 24
"""Labels of one container that become `container_label_*`; each multiplies the width of 40 series."""

LABEL_VALUE_CHARS_MAX = 256
"""A longer value of a container's label is cut: labels carry names, not documents."""

RUNTIME_TIMEOUT_S = 2.0
"""How long a runtime's API may take to answer; it is asked on a thread of its own."""

RUNTIME_REFRESH_S = 30.0
"""How often names are asked for again, when no new container asks sooner."""

RUNTIME_MIN_GAP_S = 1.0
"""The least time between two questions, so that a storm of new containers is one question."""

RUNTIME_SETTLE_S = 0.5
"""How long a scrape waits for the names of containers it has not seen before."""

POINTS_PER_REQUEST = 4_000
"""Some 600 kB of OTLP: well under gRPC's default limit of 4 MiB for a message."""

LOG_RECORDS_PER_REQUEST = 1_000
"""Records in one request, so that a retry repeats little."""

LOG_BYTES_PER_REQUEST = 1 << 20
"""Text in one request; with overhead still under gRPC's 4 MiB."""

LINE_BYTES_MAX = 256 << 10
"""A longer line, or multi-line record, is cut here and marked; the rest is counted."""

RECORD_LINES_MAX = 1_000
"""Lines of one multi-line record: enough for deep stack traces."""

READ_CHUNK_BYTES = 128 << 10
"""Read at once from a log file; bounds memory whatever the line length."""

FILE_BYTES_PER_POLL = 1 << 20
"""Read from one file before the others get their turn."""

FIRST_READ_BYTES = 1 << 20
"""A file that is larger than this when first seen is read from its last so many bytes: old news is not the point."""

FINGERPRINT_BYTES = 256
"""First bytes of a file that, with the inode, tell it from others: inodes are reused at once."""

MULTILINE_FLUSH_S = 1.0
"""Silence after which a record is complete: a stack trace is written in one go."""

PARTIAL_FLUSH_S = 5.0
"""Silence after which a line without its newline is sent as it stands."""

ROTATED_DRAIN_S = 10.0
"""How long a renamed file is still read: writers hold on to the old name until they are told."""

OPEN_FILES_MAX = 500
"""Log files followed at once; more are counted and left alone."""

LOG_POLL_S = 1.0
"""How often followed files are looked at."""

GLOB_EVERY_S = 5.0
"""How often globs are expanded again to find new files."""

CHECKPOINT_EVERY_S = 2.0
"""How often acknowledged positions are written to disk."""

QUEUE_ENTRIES_MEMORY = 8
"""Requests that wait in memory before the rest goes to disk."""

METRICS_SPOOL_BYTES = 64 << 20
"""Disk for metrics while the server is away: hours of one host; the oldest are dropped, and counted."""

LOGS_SPOOL_BYTES = 64 << 20
"""Disk for logs while the server is away; when full, reading pauses: the files themselves hold the rest."""

SEND_TIMEOUT_S = 15.0
"""A request without an answer by then is sent again."""

BACKOFF_FIRST_S = 0.5
BACKOFF_MAX_S = 30.0
"""Waits between tries double from the first to the last, each with jitter."""

RETRY_AFTER_MAX_S = 300.0
"""The longest wait that a server's RetryInfo is believed."""

REFUSED_TRIES_MAX = 5
"""Tries for an answer that is likely to stay the same (INTERNAL, UNKNOWN, exhausted without a hint when to retry)."""

SHUTDOWN_GRACE_S = 3.0
"""How long a stopping agent tries to deliver before it leaves the rest on disk."""
