"""Log files: found by glob, followed through rotation, split into records, remembered on disk."""
