"""HTTP requests as a job's settings say, and a page's text out of an answer."""

from __future__ import annotations

import asyncio
import os
import ssl
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from obs.collector.inflate import inflate
from obs.collector.receivers.scrape.config import HttpClient, Job
from obs.collector.receivers.scrape.targets import Target
from obs.errors import TooLarge, UserError
from obs.exposition import Page, parse
from obs.exposition.delimited import Histograms, parse_delimited
from obs.exposition.text import ExpositionError
from obs.version import __version__

if TYPE_CHECKING:
    import aiohttp

PROTOBUF = "application/vnd.google.protobuf"
MEDIA = (PROTOBUF, "text/plain", "application/openmetrics-text")
"""What a page may be."""
PROTOCOLS = {
    "PrometheusProto": f"{PROTOBUF};proto=io.prometheus.client.MetricFamily;encoding=delimited",
    "OpenMetricsText1.0.0": "application/openmetrics-text;version=1.0.0",
    "OpenMetricsText0.0.1": "application/openmetrics-text;version=0.0.1",
    "PrometheusText1.0.0": "text/plain;version=1.0.0",
    "PrometheusText0.0.4": "text/plain;version=0.0.4",
}
"""The formats that are read, by the names that a job's `scrape_protocols` has, in the usual order but for the first."""

PIECE_BYTES = 1 << 16


class ScrapeError(UserError):
    """A target gave no page; its text is the `lastError` of the target."""


def request_options(config: HttpClient) -> dict[str, Any]:
    """What aiohttp is told for every request. Raises: ScrapeError where a file cannot be read."""
    options: dict[str, Any] = {"allow_redirects": config.follow_redirects, "headers": _headers(config)}
    if config.tls_config is not None:
        options["ssl"] = _tls(config)
        if config.tls_config.server_name:
            options["server_hostname"] = config.tls_config.server_name
    if config.proxy_url:
        options["proxy"] = config.proxy_url
    return options


def _headers(config: HttpClient) -> dict[str, str]:
    headers = {"User-Agent": f"obs/{__version__}"}
    if config.basic_auth is not None:
        auth = config.basic_auth
        user, password = auth.username or _read(auth.username_file), auth.password or _read(auth.password_file)
        from aiohttp import BasicAuth

        headers["Authorization"] = BasicAuth(user, password).encode()
    elif config.authorization is not None:
        given = config.authorization
        headers["Authorization"] = f"{given.type} {given.credentials or _read(given.credentials_file)}"
    elif config.bearer_token or config.bearer_token_file:
        headers["Authorization"] = f"Bearer {config.bearer_token or _read(config.bearer_token_file)}"
    for name, values in config.http_headers.items():
        for value in values.get("values", []) + values.get("secrets", []):
            headers[name] = value
    return headers


def _read(path: str) -> str:
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise ScrapeError(f"cannot read credentials of {path!r}: {e}") from None


def _tls(config: HttpClient) -> ssl.SSLContext:
    assert config.tls_config is not None
    tls = config.tls_config
    try:
        context = ssl.create_default_context(cafile=tls.ca_file or None)
        if tls.cert_file:
            context.load_cert_chain(tls.cert_file, tls.key_file or None)
    except (OSError, ssl.SSLError) as e:
        raise ScrapeError(f"cannot set up TLS: {e}") from None
    if tls.insecure_skip_verify:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def accepted(job: Job) -> str:
    """The Accept header of a job: its protocols, what it likes best first; native histograms come in protobuf only."""
    names: list[str] = [*job.scrape_protocols] or [name for name in PROTOCOLS if name != "PrometheusProto"]
    if job.scrape_native_histograms and not job.scrape_protocols:
        names = ["PrometheusProto", *names]
    kinds = [f"{PROTOCOLS[name]};q=0.{len(names) + 1 - i}" for i, name in enumerate(names)]
    return ",".join([*kinds, "*/*;q=0.1"])


def read_page(body: bytes, kind: str, job: Job) -> Page:
    """A page in the format that its content type names, or in the job's fallback. Raises: ExpositionError."""
    kind = _known(kind, PROTOCOLS.get(job.fallback_scrape_protocol, ""))
    if kind.startswith(PROTOBUF):
        classic_too = job.always_scrape_classic_histograms or job.scrape_classic_histograms
        return parse_delimited(body, Histograms(job.scrape_native_histograms, classic_too))
    try:
        return parse(body.decode(), "openmetrics" in kind)
    except UnicodeDecodeError as e:
        raise ExpositionError(f"cannot read the page: it is not UTF-8 ({e.reason} at byte {e.start})") from None


def _known(kind: str, fallback: str) -> str:
    """The content type to read a page by. Raises: ExpositionError, as Prometheus 3 words it."""
    if kind.partition(";")[0].strip().lower() in MEDIA:
        return kind.lower()
    if fallback:
        return fallback
    if not kind:
        whose = "non-compliant scrape target sending blank Content-Type"
        raise ExpositionError(f"{whose} and no fallback_scrape_protocol specified for target")
    raise ExpositionError(
        f'received unsupported Content-Type "{kind}" and no fallback_scrape_protocol specified for target'
    )


async def fetch(session: aiohttp.ClientSession, target: Target, options: dict[str, Any]) -> tuple[bytes, str]:
    """The page and its content type. Raises: ScrapeError."""
    from aiohttp import ClientError

    headers = {
        **options["headers"],
        "Accept": accepted(target.job),
        "Accept-Encoding": "gzip" if target.job.enable_compression else "identity",
        "X-Prometheus-Scrape-Timeout-Seconds": f"{target.timeout_s:g}",
    }
    try:
        async with (
            asyncio.timeout(target.timeout_s),
            session.get(target.url, **{**options, "headers": headers}, auto_decompress=False) as answer,
        ):
            if answer.status != 200:
                raise ScrapeError(f"server returned HTTP status {answer.status} {answer.reason}")
            body = await _body(answer, target.job.body_size_limit)
            if encoding := answer.headers.get("Content-Encoding", ""):
                body = await asyncio.to_thread(_inflated, body, encoding, target.job.body_size_limit)
            return body, answer.headers.get("Content-Type", "")
    except TimeoutError:
        raise ScrapeError(f"context deadline exceeded: no whole page within {target.timeout_s:g} s") from None
    except (ClientError, OSError, ValueError) as e:
        raise ScrapeError(f"cannot get {target.url!r}: {_why(e)}") from None


def _why(error: Exception) -> str:
    """What went wrong with a request, without what only aiohttp knows of it."""
    from aiohttp import ClientConnectorError, ClientPayloadError, TooManyRedirects

    if isinstance(error, TooManyRedirects):
        return f"stopped after {len(error.history)} redirects"
    if isinstance(error, ClientPayloadError):
        return "the connection ended before the page did"
    if isinstance(error, ClientConnectorError) and (error.os_error.errno or 0) > 0:
        return os.strerror(error.os_error.errno or 0).lower()
    return str(error) or type(error).__name__


async def _body(answer: aiohttp.ClientResponse, limit: int) -> bytes:
    pieces, size = [], 0
    async for piece in answer.content.iter_chunked(PIECE_BYTES):
        size += len(piece)
        if limit and size > limit:
            raise _too_large(limit)
        pieces.append(piece)
    return b"".join(pieces)


def _inflated(body: bytes, encoding: str, limit: int) -> bytes:
    """A page as it was meant; one that is cut off is none."""
    try:
        return inflate(body, encoding, limit or sys.maxsize)
    except TooLarge:
        raise _too_large(limit) from None
    except UserError as e:
        raise ScrapeError(str(e)) from None


def _too_large(limit: int) -> ScrapeError:
    return ScrapeError(f"the body is over the body_size_limit of {limit} bytes")
