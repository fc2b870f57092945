"""What holds for all tests: Hypothesis sets no time limit an example, since the first one may compile a kernel."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("obs", deadline=None)
settings.load_profile("obs")
