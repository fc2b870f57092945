"""Files of samples ↔ pieces of arrays: what `obs import` reads and `obs export` writes; see README.md."""
