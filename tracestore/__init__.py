"""Traces: spans stored by trace, searched over their whole range, read in the shapes of Jaeger, Tempo and Zipkin."""
