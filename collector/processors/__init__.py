"""Processors: map a batch to a batch with pyarrow.compute; the pipeline runs them in order."""
