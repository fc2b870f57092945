"""Prometheus remote write over HTTP: see http.py; obs.remote_write decodes."""
