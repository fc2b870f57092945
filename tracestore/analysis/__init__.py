"""Questions about many spans or whole traces: pure functions on columns, one analysis a file."""
