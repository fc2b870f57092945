"""One request, one answer: builds the URL, reads the body, turns every failure into a `ClientError`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import SplitResult, quote, urlencode, urlsplit

from obs.errors import ObsError

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

Params = Iterable[tuple[str, object]]
FORM_BYTES = 2000
"""Parameters longer than this go as a POSTed form where the path allows it: proxies and logs cut long URLs."""

BAD_ADDRESS = "bad_address"
"""The kind of error of an address that nothing can be sent to."""


class ClientError(ObsError):
    """A request that was not answered with a result; `status` is HTTP's, None where there was no answer.

    `retry_after_s` is how long the server asks to wait before the next try, where it says so.
    """

    def __init__(
        self, message: str, status: int | None = None, kind: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.retry_after_s = retry_after_s


class Transport:
    """Requests to one server. Holds no connection, so threads may share it."""

    def __init__(self, base_url: str, timeout_s: float) -> None:
        parts = _http_url(base_url if "//" in base_url else f"http://{base_url}")
        if parts is None:
            text = f"cannot use address {base_url!r}: it is no HTTP URL; write http://HOST:PORT"
            raise ClientError(text, kind=BAD_ADDRESS)
        self.base_url = f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/')}"
        self._netloc, self._prefix = parts.netloc, parts.path.rstrip("/")
        self._secure = parts.scheme == "https"
        self._timeout_s = timeout_s

    def json(self, path: str, params: Params = (), headers: Mapping[str, str] = {}, form: bool = False) -> Any:
        """The JSON value at `path`; None-valued parameters are left out. Raises: ClientError."""
        body = self.raw(path, params, headers, form)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ClientError(f"cannot read the answer of {self.base_url}{path}: it is no JSON; is this obs?") from None

    def raw(self, path: str, params: Params = (), headers: Mapping[str, str] = {}, form: bool = False) -> bytes:
        """The body at `path` as it came. Raises: ClientError."""
        pairs = urlencode([(k, v) for k, v in params if v is not None])
        if form and len(pairs) > FORM_BYTES:
            typed = {**headers, "Content-Type": "application/x-www-form-urlencoded"}
            return self._exchange("POST", path, pairs.encode(), typed)
        return self._exchange("GET", f"{path}?{pairs}" if pairs else path, None, headers)

    def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> bytes:
        """The answer to a body. Raises: ClientError."""
        return self._exchange("POST", path, body, headers)

    @contextmanager
    def stream(self, path: str, params: Params = (), headers: Mapping[str, str] = {}) -> Iterator[IO[bytes]]:
        """The body at `path` as it comes. Raises: ClientError, in the context too."""
        pairs = urlencode([(k, v) for k, v in params if v is not None])
        with self._answer("GET", f"{path}?{pairs}", None, headers) as answer:
            yield answer

    def _exchange(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> bytes:
        with self._answer(method, target, body, headers) as answer:
            return answer.read()

    @contextmanager
    def _answer(
        self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]
    ) -> Iterator[HTTPResponse]:
        """An answer that is no refusal, to be read in the context. Raises: ClientError, while it is read as well."""
        import http.client  # half of what this package costs to import; `obs --help` asks for nothing

        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection: HTTPConnection = kind(self._netloc, timeout=self._timeout_s)
        answered = False
        try:
            connection.request(method, self._prefix + target, body, {"Accept": "application/json", **headers})
            answer = connection.getresponse()
            answered = True
            if answer.status >= 300:
                raise _refusal(answer.status, target, answer.read(), answer.getheader("Retry-After"))
            yield answer
        except ConnectionRefusedError:
            raise ClientError(
                f"cannot reach obs at {self.base_url}: connection refused; is `obs up` running?"
            ) from None
        except TimeoutError:
            raise ClientError(
                f"cannot get an answer of {self.base_url}: none in {self._timeout_s:g} s; ask for less or wait"
            ) from None
        except (OSError, http.client.HTTPException) as e:
            if answered and isinstance(e, BrokenPipeError):  # of whom the answer was passed on to
                raise
            raise ClientError(f"cannot talk to obs at {self.base_url}: {e or type(e).__name__}") from None
        finally:
            connection.close()


@contextmanager
def expected_answer(server: str) -> Iterator[None]:
    """While an answer is taken apart. Raises: ClientError where it has another form."""
    try:
        yield
    except (LookupError, TypeError, AttributeError, ValueError) as e:
        said = f"it is not of the form that was expected ({type(e).__name__}: {e})"
        raise ClientError(f"cannot read the answer of {server}: {said}; is this obs, of this version?") from e


def _http_url(text: str) -> SplitResult | None:
    """The parts of a URL that requests can be sent to."""
    try:
        parts = urlsplit(text)
        _ = parts.port  # read only now, and a ValueError where it is none
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") and parts.hostname else None


def segment(value: str) -> str:
    """A value as one segment of a path."""
    return quote(value, safe="")


def _refusal(status: int, target: str, data: bytes, retry_after: str | None = None) -> ClientError:
    text = data.decode(errors="replace").strip()
    try:
        said = json.loads(text)
    except ValueError:
        said = text
    message, kind = _message(said)
    path = target.partition("?")[0]
    wait_s = float(retry_after) if retry_after and retry_after.isdigit() else None
    return ClientError(message or f"cannot get {path!r}: the server answered {status}", status, kind, wait_s)


def _message(said: Any) -> tuple[str, str]:
    """The server's own words in whichever of the protocols' shapes they came, and the kind of error."""
    if not isinstance(said, dict):
        return str(said) if isinstance(said, str) and not said.startswith("<") else "", ""
    errors = said.get("errors")
    if isinstance(errors, list) and errors and isinstance(errors[0], dict):
        return str(errors[0].get("msg", "")), ""
    for key in ("error", "message", "detail", "msg"):
        if isinstance(said.get(key), str):
            return said[key], str(said.get("errorType", ""))
    return "", ""
