"""What one cgroup's files say, as cAdvisor's metrics; a value that the kernel does not give is not there.

Keys are (metric, labels of its own): `v1_values` and `v2_values` fill them, `read_values` joins the two.
"""

from __future__ import annotations

from obs.agent.cgroup.hierarchy import CgroupFiles
from obs.agent.cgroup.parse import (
    parse_blkio,
    parse_cpu_max,
    parse_flat,
    parse_io_stat,
    parse_number,
    weight_to_shares,
)
from obs.agent.host.pressure import parse_pressure
from obs.agent.sample import LabelPairs

Values = dict[tuple[str, LabelPairs], float]

CPU_TOTAL: LabelPairs = (("cpu", "total"),)
USER_HZ = 100.0

V1_MEMORY = {
    "total_rss": "container_memory_rss",
    "total_cache": "container_memory_cache",
    "total_swap": "container_memory_swap",
    "total_mapped_file": "container_memory_mapped_file",
}
V2_MEMORY = {
    "anon": "container_memory_rss",
    "file": "container_memory_cache",
    "file_mapped": "container_memory_mapped_file",
}
FAULTS = ("pgfault", "pgmajfault")
IO_METRICS = (  # (metric, v2 key, v1 file, v1 key)
    ("container_fs_reads_bytes_total", "rbytes", "bytes", "Read"),
    ("container_fs_writes_bytes_total", "wbytes", "bytes", "Write"),
    ("container_fs_reads_total", "rios", "count", "Read"),
    ("container_fs_writes_total", "wios", "count", "Write"),
)


def read_values(files: CgroupFiles, devices: dict[str, str]) -> Values:
    """Everything about one cgroup; where both trees know a value, v1's controller is the one that counts."""
    values: Values = {}
    if files.hierarchies.v2 is not None:
        values.update(v2_values(files, devices))
    if files.hierarchies.v1:
        values.update(v1_values(files, devices))
    return values


def _put(values: Values, name: str, value: float | None, labels: LabelPairs = ()) -> None:
    if value is not None:
        values[name, labels] = float(value)


def v2_values(files: CgroupFiles, devices: dict[str, str]) -> Values:
    """Source: Documentation/admin-guide/cgroup-v2.rst."""
    out: Values = {}
    _v2_cpu(out, files)
    _v2_memory(out, files)
    _put(out, "container_threads", parse_number(files.v2("pids.current")))
    _put(out, "container_threads_max", parse_number(files.v2("pids.max")))
    for device, counters in parse_io_stat(files.v2("io.stat")).items():
        for metric, key, _, _ in IO_METRICS:
            _put(out, metric, counters.get(key), _device(device, devices))
    for resource in ("cpu", "memory", "io"):
        for state, seconds in parse_pressure(files.v2(f"{resource}.pressure") or "").items():
            _put(out, f"container_pressure_{resource}_{state}_seconds_total", seconds)
    return out


def _device(number: str, devices: dict[str, str]) -> LabelPairs:
    """cAdvisor's label `device`; the kernel gives `254:0`."""
    name = devices.get(number)
    return (("device", f"/dev/{name}" if name else number),)


def _v2_cpu(out: Values, files: CgroupFiles) -> None:
    stat = parse_flat(files.v2("cpu.stat"))
    if "usage_usec" in stat:
        _put(out, "container_cpu_usage_seconds_total", stat["usage_usec"] / 1e6, CPU_TOTAL)
        _put(out, "container_cpu_user_seconds_total", stat.get("user_usec", 0) / 1e6)
        _put(out, "container_cpu_system_seconds_total", stat.get("system_usec", 0) / 1e6)
    quota, period = parse_cpu_max(files.v2("cpu.max"))
    if quota is not None:
        _put(out, "container_cpu_cfs_periods_total", stat.get("nr_periods"))
        _put(out, "container_cpu_cfs_throttled_periods_total", stat.get("nr_throttled"))
        _put(out, "container_cpu_cfs_throttled_seconds_total", stat.get("throttled_usec", 0) / 1e6)
        _put(out, "container_spec_cpu_quota", quota)
    _put(out, "container_spec_cpu_period", period)
    weight = parse_number(files.v2("cpu.weight"))
    _put(out, "container_spec_cpu_shares", None if weight is None else weight_to_shares(weight))


def _v2_memory(out: Values, files: CgroupFiles) -> None:
    stat = parse_flat(files.v2("memory.stat"))
    usage = parse_number(files.v2("memory.current"))
    _put(out, "container_memory_usage_bytes", usage)
    if usage is not None:
        _put(out, "container_memory_working_set_bytes", max(0, usage - stat.get("inactive_file", 0)))
    _put(out, "container_memory_max_usage_bytes", parse_number(files.v2("memory.peak")))
    _put(out, "container_memory_swap", parse_number(files.v2("memory.swap.current")))
    for key, metric in V2_MEMORY.items():
        _put(out, metric, stat.get(key))
    _faults(out, stat, "")
    limit = files.v2("memory.max")
    if limit is not None:
        _put(out, "container_spec_memory_limit_bytes", parse_number(limit) or 0)
        _put(out, "container_spec_memory_swap_limit_bytes", parse_number(files.v2("memory.swap.max")) or 0)
    events = parse_flat(files.v2("memory.events"))
    _put(out, "container_oom_events_total", events.get("oom_kill"))
    _put(out, "container_memory_failcnt", events.get("max"))


def _faults(out: Values, stat: dict[str, int], prefix: str) -> None:
    for fault in FAULTS:
        labels = (("failure_type", fault), ("scope", "hierarchy"))
        _put(out, "container_memory_failures_total", stat.get(prefix + fault), labels)


def v1_values(files: CgroupFiles, devices: dict[str, str]) -> Values:
    """Source: Documentation/admin-guide/cgroup-v1/*.rst."""
    out: Values = {}
    _v1_cpu(out, files)
    _v1_memory(out, files)
    _put(out, "container_threads", parse_number(files.v1("pids", "pids.current")))
    _put(out, "container_threads_max", parse_number(files.v1("pids", "pids.max")))
    tables = {"bytes": _blkio(files, "io_service_bytes"), "count": _blkio(files, "io_serviced")}
    for metric, _, table, key in IO_METRICS:
        for device, counters in tables[table].items():
            _put(out, metric, counters.get(key), _device(device, devices))
    return out


def _blkio(files: CgroupFiles, name: str) -> dict[str, dict[str, int]]:
    """The first of the recursive counters with content; which one counts depends on the I/O scheduler."""
    for owner in ("throttle", "bfq"):
        table = parse_blkio(files.v1("blkio", f"blkio.{owner}.{name}_recursive"))
        if table:
            return table
    return {}


def _v1_cpu(out: Values, files: CgroupFiles) -> None:
    usage = parse_number(files.v1("cpuacct", "cpuacct.usage"))
    _put(out, "container_cpu_usage_seconds_total", None if usage is None else usage / 1e9, CPU_TOTAL)
    ticks = parse_flat(files.v1("cpuacct", "cpuacct.stat"))
    for mode in ("user", "system"):
        if mode in ticks:
            _put(out, f"container_cpu_{mode}_seconds_total", ticks[mode] / USER_HZ)
    _put(out, "container_spec_cpu_shares", parse_number(files.v1("cpu", "cpu.shares")))
    _put(out, "container_spec_cpu_period", parse_number(files.v1("cpu", "cpu.cfs_period_us")))
    quota = parse_number(files.v1("cpu", "cpu.cfs_quota_us"))
    if quota is not None and quota > 0:
        stat = parse_flat(files.v1("cpu", "cpu.stat"))
        _put(out, "container_spec_cpu_quota", quota)
        _put(out, "container_cpu_cfs_periods_total", stat.get("nr_periods"))
        _put(out, "container_cpu_cfs_throttled_periods_total", stat.get("nr_throttled"))
        _put(out, "container_cpu_cfs_throttled_seconds_total", stat.get("throttled_time", 0) / 1e9)


def _v1_memory(out: Values, files: CgroupFiles) -> None:
    stat = parse_flat(files.v1("memory", "memory.stat"))
    usage = parse_number(files.v1("memory", "memory.usage_in_bytes"))
    _put(out, "container_memory_usage_bytes", usage)
    if usage is not None:
        _put(out, "container_memory_working_set_bytes", max(0, usage - stat.get("total_inactive_file", 0)))
    _put(out, "container_memory_max_usage_bytes", parse_number(files.v1("memory", "memory.max_usage_in_bytes")))
    _put(out, "container_memory_failcnt", parse_number(files.v1("memory", "memory.failcnt")))
    for key, metric in V1_MEMORY.items():
        _put(out, metric, stat.get(key))
    _faults(out, stat, "total_")
    limit = files.v1("memory", "memory.limit_in_bytes")
    if limit is not None:
        _put(out, "container_spec_memory_limit_bytes", parse_number(limit) or 0)
        swap = parse_number(files.v1("memory", "memory.memsw.limit_in_bytes"))
        _put(out, "container_spec_memory_swap_limit_bytes", swap or 0)
    oom = parse_flat(files.v1("memory", "memory.oom_control"))
    _put(out, "container_oom_events_total", oom.get("oom_kill"))
