"""Tempo's API of tags: which attributes there are and which values they take, of all spans or of those that match `q`.

A `q` that does not parse (yet: Grafana sends what is being typed) filters nothing.
"""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from obs.errors import QueryError
from obs.tracestore import limits, tempo_shape
from obs.tracestore.answering import Given, Params, json_answer
from obs.tracestore.expressions import SCOPES, Expr
from obs.tracestore.item_keys import COLUMNS
from obs.tracestore.store import TraceStore
from obs.tracestore.traceql import parse

S = 10**9


def add_tags(api: APIRouter, store: TraceStore) -> None:
    """The routes below /search/tags and /search/tag."""

    @api.get("/search/tags", response_class=Response)
    def tags(given: Given) -> Response:
        """Keys of attributes, all scopes together."""
        return json_answer(tempo_shape.tag_names(_names(store, given), given.text("scope")))

    @api.get("/v2/search/tags", response_class=Response)
    def tags_v2(given: Given) -> Response:
        """Keys of attributes and intrinsic fields by scope."""
        return json_answer(tempo_shape.tag_names_v2(_names(store, given), given.text("scope")))

    @api.get("/search/tag/{tag}/values", response_class=Response)
    def values(tag: str, given: Given) -> Response:
        """Values of a tag as text."""
        return json_answer({"tagValues": [value for _, value in _values(store, tag, given)], "metrics": {}})

    @api.get("/v2/search/tag/{tag}/values", response_class=Response)
    def values_v2(tag: str, given: Given) -> Response:
        """Values of a tag with their types."""
        found = [{"type": type_, "value": value} for type_, value in _values(store, tag, given)]
        return json_answer({"tagValues": found, "metrics": {}})


def _names(store: TraceStore, given: Params) -> dict[str, list[str]]:
    """Keys by the column's name of their scope."""
    scope, range_ns = given.text("scope"), given.span(S)
    items = {} if scope in SCOPES or scope == "intrinsic" else store.item_keys(*range_ns)
    return items if scope in COLUMNS else items | store.tag_names(_where(given), *range_ns)


def _values(store: TraceStore, tag: str, given: Params) -> list[tuple[str, str]]:
    found = store.tag_values(tag, *given.span(S), _where(given))
    return found[: min(given.whole("limit", limits.MAX_TAG_VALUES) or limits.MAX_TAG_VALUES, limits.MAX_TAG_VALUES)]


def _where(given: Params) -> Expr | None:
    text = given.text("q")
    try:
        return None if text is None else parse(text)
    except QueryError:
        return None
