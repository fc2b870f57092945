"""The part of Go's text/template that Prometheus annotations and labels use."""
