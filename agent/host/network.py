"""Interfaces (`/proc/net/dev`, `/sys/class/net`), sockets and protocol counters."""

from __future__ import annotations

import os
import re

from obs.agent.rootfs import HostRoot
from obs.agent.sample import Sample

RECEIVE = ("bytes", "packets", "errs", "drop", "fifo", "frame", "compressed", "multicast")
TRANSMIT = ("bytes", "packets", "errs", "drop", "fifo", "colls", "carrier", "compressed")

# Source: node_exporter's default netstat fields, without the Icmp ones.
NETSTAT_WANTED = re.compile(
    r"IpExt_(In|Out)Octets|Ip_Forwarding|TcpExt_(Listen.*|Syncookies.*|TCPSynRetrans|TCPTimeouts|TCPOFOQueue"
    r"|TCPRcvQDrop)|Tcp_(ActiveOpens|InSegs|OutSegs|OutRsts|PassiveOpens|RetransSegs|CurrEstab|InErrs)"
    r"|Udp_(InDatagrams|OutDatagrams|NoPorts|InErrors|RcvbufErrors|SndbufErrors)"
)
SYSFS_VALUES = (
    ("carrier", "node_network_carrier", 1.0),
    ("mtu", "node_network_mtu_bytes", 1.0),
    ("speed", "node_network_speed_bytes", 125_000.0),  # megabits a second → bytes a second
)


def parse_net_dev(text: str) -> list[tuple[str, list[int], list[int]]]:
    """(interface, receive columns, transmit columns) in the order of RECEIVE and TRANSMIT."""
    out = []
    for line in text.splitlines():
        name, colon, rest = line.rpartition(":")
        fields = rest.split()
        if colon and len(fields) >= 16:
            values = [int(f) for f in fields[:16]]
            out.append((name.strip(), values[:8], values[8:]))
    return out


def net_dev_samples(text: str) -> list[Sample]:
    """Interface counters under node_exporter's names."""
    out = []
    for device, received, sent in parse_net_dev(text):
        labels = (("device", device),)
        for direction, columns, values in (("receive", RECEIVE, received), ("transmit", TRANSMIT, sent)):
            out += [
                Sample(f"node_network_{direction}_{column}_total", labels, float(value))
                for column, value in zip(columns, values, strict=True)
            ]
    return out


def parse_sockstat(text: str) -> list[Sample]:
    """`TCP: inuse 5 orphan 0` is `node_sockstat_TCP_inuse` and `node_sockstat_TCP_orphan`."""
    out = []
    for line in text.splitlines():
        protocol, _, rest = line.partition(":")
        fields = rest.split()
        for key, value in zip(fields[::2], fields[1::2], strict=False):
            out.append(Sample(f"node_sockstat_{protocol}_{key}", (), float(value)))
    return out


def parse_netstat(text: str) -> list[Sample]:
    """`/proc/net/snmp` and `/proc/net/netstat`: pairs of a line of names and a line of values."""
    out = []
    lines = text.splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=False):
        protocol, _, keys = names.partition(":")
        numbers = values.partition(":")[2].split()
        for key, number in zip(keys.split(), numbers, strict=False):
            if NETSTAT_WANTED.fullmatch(f"{protocol}_{key}"):
                out.append(Sample(f"node_netstat_{protocol}_{key}", (), float(number)))
    return out


def _read_net(root: HostRoot, name: str) -> str:
    """A file of the host's network namespace (init's), or of our own where we may not look."""
    return root.read(f"/proc/1/net/{name}") or root.read(f"/proc/net/{name}") or ""


def probe_network(root: HostRoot) -> list[Sample]:
    """Counters of all interfaces."""
    return net_dev_samples(_read_net(root, "dev"))


def probe_interfaces(root: HostRoot) -> list[Sample]:
    """State of all interfaces from sysfs; reading carrier or speed of an interface that is down fails."""
    try:
        devices = sorted(os.listdir(root.at("/sys/class/net")))
    except OSError:
        return []
    out = []
    for device in devices:
        labels = (("device", device),)
        state = (root.read(f"/sys/class/net/{device}/operstate") or "").strip()
        if not state:
            continue
        out.append(Sample("node_network_up", labels, float(state == "up")))
        for file, name, factor in SYSFS_VALUES:
            text = root.read(f"/sys/class/net/{device}/{file}")
            if text is not None and text.strip().isdigit():
                out.append(Sample(name, labels, int(text) * factor))
    return out


def probe_sockets(root: HostRoot) -> list[Sample]:
    """Sockets in use and protocol counters."""
    out = parse_sockstat(_read_net(root, "sockstat"))
    return out + parse_netstat(_read_net(root, "snmp")) + parse_netstat(_read_net(root, "netstat"))
