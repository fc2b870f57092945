"""LogQL: text → syntax → plan → columns. `grammar.lark` is the language; stages/ has one operator a file."""

from obs.logstore.logql.query import LogQL

__all__ = ["LogQL"]
