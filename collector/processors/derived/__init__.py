"""Metrics derived from spans: batches are observed as they pass, cumulative series are written on a timer."""
