"""How many examples Hypothesis tries: few by default, and `OBS_PROPERTY_TIMES` times as many where that is set."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import HealthCheck, settings

TIMES = float(os.environ.get("OBS_PROPERTY_TIMES", "1"))


def examples(usual: int, **more: Any) -> settings:
    """Settings for a test or a machine. None has a deadline: the first example may compile a kernel."""
    count = max(1, round(usual * TIMES))
    return settings(max_examples=count, deadline=None, suppress_health_check=list(HealthCheck), **more)
