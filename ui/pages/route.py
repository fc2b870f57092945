"""Which page answers which path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from obs.client import ObsClient
from obs.ui.view import View


@dataclass(frozen=True, slots=True)
class Route:
    """A page: `layout(view, argument)` draws it, `register(app, client)` adds its callbacks, once.

    A path ending in `*` takes one segment as its argument.
    """

    path: str
    layout: Callable[[View, str], Any]
    register: Callable[[Any, ObsClient], None]

    def match(self, pathname: str) -> str | None:
        """The argument in `pathname` ("" where the path takes none), or None where this is another page's."""
        trimmed = pathname.rstrip("/") or "/"
        if trimmed == "/ui":
            trimmed = "/"
        if not self.path.endswith("*"):
            return "" if trimmed == self.path else None
        stem = self.path[:-1]
        rest = trimmed.removeprefix(stem)
        return unquote(rest) if rest and rest != trimmed and "/" not in rest else None
