"""Notifiers: one file a kind of destination; each makes its payload and sends it once."""
