"""Prometheus's text formats: what an exporter shows, line by line, and the way from a line's series text to labels."""

from obs.exposition.text import Page, Row, parse, series_labels

__all__ = ["Page", "Row", "parse", "series_labels"]
