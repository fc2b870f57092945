"""What a start waits for: no library is imported that only some servers, or later moments, need."""

from __future__ import annotations

import subprocess
import sys

LATER = ("aiohttp", "dash", "dns", "docker", "duckdb", "numba", "pandas", "plotly", "requests")


def test_a_start_imports_nothing_that_is_for_later() -> None:
    program = f"import sys, obs.app; print([name for name in {LATER} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
