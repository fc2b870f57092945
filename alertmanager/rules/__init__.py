"""Prometheus rule files: loaded, evaluated on time, their alerts handed on."""
