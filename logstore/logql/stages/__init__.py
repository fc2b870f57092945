"""The stages of a query, one operator a file. A stage maps rows to rows, whole columns at a time."""
