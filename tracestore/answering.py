"""What the routers share: JSON answers, parameters by name, and errors in each API's own shape."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
from fastapi import Depends, Request
from fastapi.routing import APIRoute
from starlette.responses import Response, StreamingResponse

from obs.errors import NotFound, ObsError, UserError
from obs.tracestore import limits
from obs.tracestore.durations import duration_ns, time_ns
from obs.tracestore.query import MAX_NS
from obs.tracestore.store import TraceStore


def json_answer(value: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(value, option=orjson.OPT_NON_STR_KEYS), status, media_type="application/json")


def in_pieces(pieces: Iterable[bytes], spans: int, media_type: str = "application/json") -> Response:
    """A response of that many spans: at once where they are few, else sent as its pieces are made."""
    if spans <= limits.SPANS_PER_PIECE:
        return Response(b"".join(pieces), media_type=media_type)
    return StreamingResponse(iter(pieces), media_type=media_type)


def undecided(store: TraceStore) -> list[str]:
    """What a search says of spans that are not searched yet."""
    if not (count := store.undecided()):
        return []
    return [f"{count} spans wait for the sampling decision and are not searched; their traces are found by id"]


def warned(response: Response, warnings: Iterable[str]) -> Response:
    """A response that says so in its head: most shapes of others have no place for it.

    Source: RFC 7234, 5.5: 199 is a warning of any kind.
    """
    for text in warnings:
        response.headers.append("Warning", f'199 obs "{text}"')
    return response


def route_class(shape: Callable[[int, str], Response]) -> type[APIRoute]:
    """Routes whose deliberate errors are answered as `shape(status, message)`."""

    class ShapedRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handle = super().get_route_handler()

            async def answered(request: Request) -> Response:
                try:
                    return await handle(request)
                except ObsError as e:
                    return shape(int(getattr(e, "http_status", 500)), str(e))

            return answered

    return ShapedRoute


def no_trace(text: str) -> NotFound:
    """What is said of an id that no span has."""
    return NotFound(f"cannot find trace {text!r}: no span of it is stored; it may be on its way, or past retention")


@dataclass(frozen=True, slots=True)
class Params:
    """One request's parameters; a name may come several times."""

    values: Mapping[str, Sequence[str]]

    def text(self, name: str) -> str | None:
        """The last value given, None where there is none or an empty one."""
        given = self.values.get(name)
        return given[-1] if given and given[-1] else None

    def all(self, *names: str) -> list[str]:
        """All values, under any of these names."""
        return [v for name in names for v in self.values.get(name, ()) if v]

    def whole(self, name: str, default: int) -> int:
        """A whole number, not below zero. Raises: UserError."""
        text = self.text(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit()) or len(text) > 18:
            raise UserError(f"cannot read {name} {text[:40]!r}: it is not a whole number")
        return int(text)

    def limit(self, default: int = limits.DEFAULT_LIMIT) -> int:
        """`limit`, at most what one page may hold. Raises: UserError."""
        return min(self.whole("limit", default), limits.MAX_LIMIT)

    def flag(self, name: str) -> bool:
        """A truth value, False where not given. Raises: UserError."""
        text = (self.text(name) or "false").lower()
        if text not in ("1", "t", "true", "0", "f", "false"):
            raise UserError(f"cannot read {name} {text[:40]!r}: it is neither true nor false")
        return text in ("1", "t", "true")

    def duration(self, name: str, bare_unit_ns: int | None = None) -> int | None:
        """A duration in ns. Raises: UserError."""
        text = self.text(name)
        return None if text is None else duration_ns(text, bare_unit_ns)

    def span(self, unit_ns: int) -> tuple[int, int]:
        """`start` and `end` in ns, all of time where not given. Raises: UserError."""
        start, end = self.text("start"), self.text("end")
        found = (
            -MAX_NS if start is None else time_ns("start", start, unit_ns),
            MAX_NS if end is None else time_ns("end", end, unit_ns),
        )
        if found[0] > found[1]:
            raise UserError(f"cannot search from {start} to {end}: the end is before the start")
        return found

    def tags(self) -> dict[str, str]:
        """`tags` (JSON or logfmt, any number of times) and `tag` (key:value). Raises: UserError."""
        found: dict[str, str] = {}
        for text in self.all("tags"):
            found.update(parse_tags(text))
        for text in self.all("tag"):
            key, colon, value = text.partition(":")
            if not colon or not key:
                raise UserError(f"cannot read tag {text[:80]!r}: it is not like key:value")
            found[key] = value
        return found


def read_params(request: Request) -> Params:
    """The parameters of a request's address."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        found.setdefault(name, []).append(value)
    return Params(found)


Given = Annotated[Params, Depends(read_params)]


def parse_tags(text: str) -> dict[str, str]:
    """Tags as a JSON object (Jaeger) or as logfmt (Tempo, Zipkin's annotationQuery aside). Raises: UserError."""
    if text.lstrip().startswith("{"):
        return _json_tags(text)
    try:
        words = shlex.split(text, posix=True)
    except ValueError as e:
        raise UserError(f'cannot read tags {text[:80]!r}: {e}; write them like a=b c="d e"') from None
    found = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key:
            raise UserError(f"cannot read tags {text[:80]!r}: {word!r} is not like key=value")
        found[key] = value
    return found


def _json_tags(text: str) -> dict[str, str]:
    try:
        found = orjson.loads(text)
    except ValueError as e:
        raise UserError(f"cannot read tags {text[:80]!r}: {e}; write a JSON object of text") from None
    return {k: v if isinstance(v, str) else orjson.dumps(v).decode() for k, v in found.items()}
