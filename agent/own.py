"""What the agent knows of itself: counters that any thread adds to, and the cost of its process."""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict

from obs.agent.rootfs import read_text
from obs.agent.sample import LabelPairs, Sample

PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class OwnMetrics:
    """Counters and gauges by (name, labels); names are exact Prometheus names."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: defaultdict[tuple[str, LabelPairs], float] = defaultdict(float)
        self._started_s = time.time()

    def add(self, name: str, amount: float = 1.0, **labels: str) -> None:
        """Count up."""
        with self._lock:
            self._values[name, tuple(labels.items())] += amount

    def set(self, name: str, value: float, **labels: str) -> None:
        """Set a gauge."""
        with self._lock:
            self._values[name, tuple(labels.items())] = value

    def value(self, name: str, **labels: str) -> float:
        """The present value, 0 when never touched."""
        with self._lock:
            return self._values.get((name, tuple(labels.items())), 0.0)

    def samples(self) -> list[Sample]:
        """All of it, and what this process uses."""
        with self._lock:
            own = [Sample(name, labels, value) for (name, labels), value in self._values.items()]
        return own + self._process()

    def _process(self) -> list[Sample]:
        times = os.times()
        out = [
            Sample("process_cpu_seconds_total", (), times.user + times.system),
            Sample("process_start_time_seconds", (), self._started_s),
        ]
        pages = (read_text("/proc/self/statm") or "").split()
        if len(pages) > 1:
            out.append(Sample("process_virtual_memory_bytes", (), float(int(pages[0]) * PAGE_BYTES)))
            out.append(Sample("process_resident_memory_bytes", (), float(int(pages[1]) * PAGE_BYTES)))
        try:
            out.append(Sample("process_open_fds", (), float(len(os.listdir("/proc/self/fd")))))
        except OSError:
            pass
        return out
