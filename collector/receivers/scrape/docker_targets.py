"""Containers of a Docker daemon as targets: one for each network and exposed TCP port. Blocking.

Source: Prometheus's configuration reference, docker_sd_config.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import docker
import requests
from docker.errors import DockerException

from obs.collector.receivers.scrape.config import DockerDiscovery
from obs.errors import UserError

_PREFIX = "__meta_docker_"


def containers(config: DockerDiscovery) -> list[dict[str, str]]:
    """All targets. Raises: UserError where the daemon cannot be asked."""
    filters = {str(f["name"]): list(f["values"]) for f in config.filters if "name" in f and "values" in f}
    try:
        client = docker.APIClient(base_url=config.host, version="auto", timeout=10)
        try:
            networks = {network["Id"]: network for network in client.networks()}
            found = client.containers(filters=filters or None)
        finally:
            client.close()
    except (DockerException, requests.RequestException, OSError) as e:
        raise UserError(f"cannot ask Docker at {config.host!r} for containers: {e}") from None
    return [target for container in found for target in targets_of(config, container, networks)]


def targets_of(
    config: DockerDiscovery, container: Mapping[str, Any], networks: Mapping[str, Any]
) -> Iterator[dict[str, str]]:
    """The targets of one container, as the daemon's API describes it."""
    mode = (container.get("HostConfig") or {}).get("NetworkMode", "")
    own = {
        f"{_PREFIX}container_id": container["Id"],
        f"{_PREFIX}container_name": (container.get("Names") or [""])[0],
        f"{_PREFIX}container_network_mode": mode,
        **{f"{_PREFIX}container_label_{_name(k)}": v for k, v in (container.get("Labels") or {}).items()},
    }
    ports = [port for port in container.get("Ports") or [] if port.get("Type") == "tcp"]
    attached = list(((container.get("NetworkSettings") or {}).get("Networks") or {}).values())
    for network in attached[:1] if config.match_first_network else attached:
        known = networks.get(network.get("NetworkID"), {})
        meta = {
            **own,
            f"{_PREFIX}network_id": network.get("NetworkID", ""),
            f"{_PREFIX}network_name": known.get("Name", ""),
            f"{_PREFIX}network_ingress": str(bool(known.get("Ingress"))).lower(),
            f"{_PREFIX}network_internal": str(bool(known.get("Internal"))).lower(),
            f"{_PREFIX}network_scope": known.get("Scope", ""),
            f"{_PREFIX}network_ip": network.get("IPAddress", ""),
            **{f"{_PREFIX}network_label_{_name(k)}": v for k, v in (known.get("Labels") or {}).items()},
        }
        host = config.host_networking_host if mode == "host" else network.get("IPAddress", "")
        for port in ports:
            public = {
                f"{_PREFIX}port_public_ip": port.get("IP", ""),
                f"{_PREFIX}port_public": str(port.get("PublicPort", "")),
            }
            private = {f"{_PREFIX}port_private": str(port["PrivatePort"])}
            yield {
                **meta,
                **private,
                **(public if "PublicPort" in port else {}),
                "__address__": f"{host}:{port['PrivatePort']}",
            }
        if not ports:
            yield {**meta, "__address__": host if mode == "host" else f"{host}:{config.port}"}


def _port(port: Mapping[str, Any]) -> dict[str, str]:
    found = {f"{_PREFIX}port_private": str(port["PrivatePort"])}
    if "PublicPort" in port:
        found[f"{_PREFIX}port_public"] = str(port["PublicPort"])
        found[f"{_PREFIX}port_public_ip"] = port.get("IP", "")
    return found


def _name(label: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]", "_", label)
