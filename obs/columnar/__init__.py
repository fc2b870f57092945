"""One storage engine for all three stores: WAL → head → block → compaction → retention. See README.md."""
