"""The words all rooms share: signals, batches, schemas, labels, and the ports between rooms."""
