"""`/proc/diskstats`: per block device operations, bytes and time."""

from __future__ import annotations

import re

from obs.agent.rootfs import HostRoot
from obs.agent.sample import Sample

SECTOR_BYTES = 512  # Source: Documentation/admin-guide/iostats.rst; whatever the device's own sector is

# Source: node_exporter's default device-exclude: memory disks, loops and partitions.
IGNORED = re.compile(r"(z?ram|loop|fd|(h|s|v|xv)d[a-z]|nvme\d+n\d+p|mmcblk\d+p)\d+")

# Columns after major, minor, name, in the kernel's order: (metric, factor). Source: iostats.rst, fields 1 to 17.
COLUMNS = (
    ("node_disk_reads_completed_total", 1.0),
    ("node_disk_reads_merged_total", 1.0),
    ("node_disk_read_bytes_total", SECTOR_BYTES),
    ("node_disk_read_time_seconds_total", 0.001),
    ("node_disk_writes_completed_total", 1.0),
    ("node_disk_writes_merged_total", 1.0),
    ("node_disk_written_bytes_total", SECTOR_BYTES),
    ("node_disk_write_time_seconds_total", 0.001),
    ("node_disk_io_now", 1.0),
    ("node_disk_io_time_seconds_total", 0.001),
    ("node_disk_io_time_weighted_seconds_total", 0.001),
    ("node_disk_discards_completed_total", 1.0),
    ("node_disk_discards_merged_total", 1.0),
    ("node_disk_discarded_sectors_total", 1.0),
    ("node_disk_discard_time_seconds_total", 0.001),
    ("node_disk_flush_requests_total", 1.0),
    ("node_disk_flush_requests_time_seconds_total", 0.001),
)


def parse_diskstats(text: str) -> list[Sample]:
    """Every device but memory disks, loops and partitions; old kernels have fewer columns."""
    out = []
    for line in text.splitlines():
        fields = line.split()
        if len(fields) < 14 or IGNORED.fullmatch(fields[2]):
            continue
        labels = (("device", fields[2]),)
        out += [
            Sample(name, labels, int(field) * factor)
            for (name, factor), field in zip(COLUMNS, fields[3:], strict=False)
        ]
    return out


def device_names(text: str) -> dict[str, str]:
    """`254:0` → `vda`, from the same file: cgroups name devices by number."""
    rows = (line.split(None, 3) for line in text.splitlines())
    return {f"{row[0]}:{row[1]}": row[2] for row in rows if len(row) == 4}


def probe_disk(root: HostRoot) -> list[Sample]:
    """`/proc/diskstats`."""
    return parse_diskstats(root.read("/proc/diskstats") or "")
