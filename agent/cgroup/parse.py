"""Text of cgroup files → numbers. Pure; shared by v1 and v2."""

from __future__ import annotations

UNLIMITED = 1 << 62  # v1 writes "no limit" as the largest multiple of the page size below 2^63


def parse_flat(text: str | None) -> dict[str, int]:
    """`key value` lines: cpu.stat, memory.stat, memory.events, memory.oom_control."""
    pairs = (line.split() for line in (text or "").splitlines())
    return {p[0]: int(p[1]) for p in pairs if len(p) == 2 and p[1].lstrip("-").isdigit()}


def parse_number(text: str | None) -> int | None:
    """A file of one number; `max` and v1's huge stand-in for it are None, as is a missing file."""
    value = (text or "").strip()
    if not value.lstrip("-").isdigit():
        return None
    number = int(value)
    return None if number >= UNLIMITED else number


def parse_cpu_max(text: str | None) -> tuple[int | None, int | None]:
    """`30000 100000` → (quota, period) in microseconds; `max` is no quota."""
    fields = (text or "").split()
    if len(fields) != 2:
        return None, None
    return parse_number(fields[0]), parse_number(fields[1])


def parse_io_stat(text: str | None) -> dict[str, dict[str, int]]:
    """v2: `254:0 rbytes=2048 wios=4 …` → {"254:0": {"rbytes": 2048, …}}."""
    out: dict[str, dict[str, int]] = {}
    for line in (text or "").splitlines():
        device, *fields = line.split()
        pairs = (f.partition("=") for f in fields)
        values = {key: int(value) for key, _, value in pairs if value.isdigit()}
        if values:
            out[device] = values
    return out


def parse_blkio(text: str | None) -> dict[str, dict[str, int]]:
    """v1: lines `254:0 Read 2048` → {"254:0": {"Read": 2048, …}}; the closing `Total` is left out."""
    out: dict[str, dict[str, int]] = {}
    for line in (text or "").splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[2].isdigit():
            out.setdefault(fields[0], {})[fields[1]] = int(fields[2])
    return out


def weight_to_shares(weight: int) -> int:
    """v2's cpu.weight (1 to 10000) as v1's shares (2 to 262144). Source: the OCI runtime's conversion, inverted."""
    return 2 + (weight - 1) * 262142 // 9999
