"""Tail sampling: whole traces are kept or left out by what is in them, once they had time to come together."""
