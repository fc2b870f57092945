"""The log store: records in columns, found by words; LogQL and Loki's HTTP API. See README.md."""
