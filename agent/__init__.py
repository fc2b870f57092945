"""The node agent: this host's metrics, containers and log files, shipped as OTLP. See README.md; enter by `main`."""
