"""Receivers: one folder a protocol; each turns bytes into batches and answers in its protocol's own terms."""
