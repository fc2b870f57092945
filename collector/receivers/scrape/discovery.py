"""Where targets come from: files, URLs, name servers, Docker. Each is asked again and again and gives all its groups.

A source that cannot be asked for now keeps what it gave last.
What only some sources need (HTTP, DNS, Docker) is imported when such a source is asked.
Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/
"""

from __future__ import annotations

import asyncio
import glob
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import yaml

from obs.collector.receivers.scrape.config import (
    DnsDiscovery,
    DockerDiscovery,
    FileDiscovery,
    HttpDiscovery,
    StaticTargets,
)
from obs.collector.receivers.scrape.fetching import request_options
from obs.collector.receivers.scrape.targets import Group
from obs.errors import ObsError, UserError

if TYPE_CHECKING:
    import aiohttp

Ask = Callable[["aiohttp.ClientSession"], Awaitable[list[Group]]]


FIND_S = 30.0
"""How long a source may take to answer."""


class DiscoveryError(UserError):
    """A source of targets cannot be read."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """One source of a job's targets; `every_s` None: it never changes."""

    name: str
    every_s: float | None
    ask: Ask


async def follow(
    source: Discovery, failed: Callable[[ObsError], None], told: Callable[[list[Group]], Awaitable[None]]
) -> None:
    """Ask a source for ever, or once where it never changes: `told` gets each answer, `failed` why there is none."""
    from aiohttp import ClientSession, ClientTimeout

    async with ClientSession(timeout=ClientTimeout(total=FIND_S)) as session:
        while True:
            try:
                groups = await source.ask(session)
            except ObsError as e:
                failed(e)
            else:
                await told(groups)
            if source.every_s is None:
                return
            await asyncio.sleep(source.every_s)


class Sources(Protocol):
    """What says where targets are found: a job, or another's section with the same keys."""

    @property
    def static_configs(self) -> list[StaticTargets]: ...

    @property
    def file_sd_configs(self) -> list[FileDiscovery]: ...

    @property
    def http_sd_configs(self) -> list[HttpDiscovery]: ...

    @property
    def dns_sd_configs(self) -> list[DnsDiscovery]: ...

    @property
    def docker_sd_configs(self) -> list[DockerDiscovery]: ...


def discoveries(job: Sources, folder: Path) -> list[Discovery]:
    """All sources of a job; `folder` is where relative file names start."""
    found = [Discovery("static", None, _constant(job.static_configs))] if job.static_configs else []
    found += [Discovery("file", each.refresh_interval, _files(each, folder)) for each in job.file_sd_configs]
    found += [Discovery("http", each.refresh_interval, _url(each)) for each in job.http_sd_configs]
    found += [Discovery("dns", each.refresh_interval, _names(each)) for each in job.dns_sd_configs]
    found += [Discovery("docker", each.refresh_interval, _docker(each)) for each in job.docker_sd_configs]
    return found


def group(targets: list[str], labels: Mapping[str, str], meta: Mapping[str, str] | None = None) -> Group:
    """Targets that share labels."""
    return tuple({**(meta or {}), **labels, "__address__": target} for target in targets)


def _constant(entries: list[StaticTargets]) -> Ask:
    groups = [group(entry.targets, entry.labels) for entry in entries]

    async def ask(session: aiohttp.ClientSession) -> list[Group]:
        return groups

    return ask


def _files(config: FileDiscovery, folder: Path) -> Ask:
    def read() -> list[Group]:
        paths = [path for pattern in config.files for path in sorted(glob.glob(str(folder / pattern)))]
        return [found for path in paths for found in _groups_in(Path(path))]

    async def ask(session: aiohttp.ClientSession) -> list[Group]:
        return await asyncio.to_thread(read)

    return ask


def _groups_in(path: Path) -> list[Group]:
    try:
        text = path.read_text(encoding="utf-8")
        entries = json.loads(text) if path.suffix == ".json" else yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as e:
        raise DiscoveryError(f"cannot read targets of {str(path)!r}: {e}") from None
    return groups_of(entries or [], str(path), {"__meta_filepath": str(path)})


def groups_of(entries: Any, source: str, meta: Mapping[str, str]) -> list[Group]:
    """Groups as file and HTTP discovery write them: a list of {targets, labels}. Raises: DiscoveryError."""
    if not isinstance(entries, list):
        raise DiscoveryError(f"cannot use targets of {source!r}: it is not a list of groups with targets and labels")
    try:
        return [
            group([str(t) for t in e["targets"]], {k: str(v) for k, v in (e.get("labels") or {}).items()}, meta)
            for e in entries
        ]
    except (AttributeError, KeyError, TypeError):
        raise DiscoveryError(
            f"cannot use targets of {source!r}: a group is not {{targets: […], labels: {{…}}}}"
        ) from None


def _url(config: HttpDiscovery) -> Ask:
    async def ask(session: aiohttp.ClientSession) -> list[Group]:
        from aiohttp import ClientError

        try:
            async with session.get(config.url, **request_options(config)) as response:
                if response.status != 200:
                    raise DiscoveryError(f"cannot read targets of {config.url!r}: HTTP status {response.status}")
                entries = json.loads(await response.read())
        except (ClientError, TimeoutError, ValueError) as e:
            raise DiscoveryError(f"cannot read targets of {config.url!r}: {e or type(e).__name__}") from None
        return groups_of(entries, config.url, {"__meta_url": config.url})

    return ask


def _names(config: DnsDiscovery) -> Ask:
    async def ask(session: aiohttp.ClientSession) -> list[Group]:
        return [await _resolved(config, name) for name in config.names]

    return ask


async def _resolved(config: DnsDiscovery, name: str) -> Group:
    from dns.asyncresolver import resolve
    from dns.exception import DNSException

    try:
        answer = await resolve(name, config.type)
    except DNSException as e:
        raise DiscoveryError(f"cannot resolve {config.type} records of {name!r}: {e}") from None
    targets = []
    for record in answer:
        meta = {"__meta_dns_name": name}
        if config.type == "SRV":
            host, port = record.target.to_text().rstrip("."), record.port
            meta |= {"__meta_dns_srv_record_target": f"{host}.", "__meta_dns_srv_record_port": str(port)}
        elif config.type in ("A", "AAAA"):
            host, port = record.address, config.port
        else:
            host, port = (record.exchange if config.type == "MX" else record.target).to_text().rstrip("."), config.port
            meta[f"__meta_dns_{config.type.lower()}_record_target"] = f"{host}."
        host = f"[{host}]" if ":" in host else host
        targets.append({**meta, "__address__": f"{host}:{port}"})
    return tuple(targets)


def _docker(config: DockerDiscovery) -> Ask:
    async def ask(session: aiohttp.ClientSession) -> list[Group]:
        from obs.collector.receivers.scrape.docker_targets import containers

        return [tuple(await asyncio.to_thread(containers, config))]

    return ask
