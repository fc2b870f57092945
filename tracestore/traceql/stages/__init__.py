"""The stages of a pipeline, one a file. A stage maps spansets to spansets, whole columns at a time."""
