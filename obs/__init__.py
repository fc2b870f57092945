"""obs: metrics, logs and traces in one process and one folder."""
