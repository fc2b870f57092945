"""What a page shows, as the URL's query string holds it: time range, refresh, and the page's own parameters. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode

SHARED = ("from", "to", "refresh")
"""Parameters that go along from page to page."""


@dataclass(frozen=True, slots=True)
class View:
    """A parsed query string; parameters may repeat."""

    params: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def parse(cls, search: str | None) -> View:
        """Of `?a=b&a=c`; empty values are left out."""
        params: dict[str, tuple[str, ...]] = {}
        for name, value in parse_qsl((search or "").lstrip("?")):
            params[name] = (*params.get(name, ()), value)
        return cls(params)

    def get(self, name: str, default: str = "") -> str:
        """The first value of a parameter."""
        return self.params.get(name, (default,))[0]

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of a parameter."""
        return self.params.get(name, ())

    def search(self, **changes: str | tuple[str, ...] | None) -> str:
        """The query string with parameters replaced; None or "" removes one. `from_` stands for `from`."""
        merged = {**self.params}
        for name, value in changes.items():
            merged[name.rstrip("_")] = (value,) if isinstance(value, str) else value or ()
        pairs = [(name, value) for name, values in merged.items() for value in values if value]
        return "?" + urlencode(pairs) if pairs else ""

    def shared(self) -> View:
        """Only what goes along to another page."""
        return View({name: self.params[name] for name in SHARED if name in self.params})


def link(path: str, view: View | None = None, /, **params: str | tuple[str, ...] | None) -> str:
    """A link to a page that keeps the time range of `view`."""
    return path + (view or View()).shared().search(**params)
