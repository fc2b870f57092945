"""Threads that work through what they are given."""

from __future__ import annotations

from queue import Queue

import pytest

from obs.collector.crew import Crew


class Panic(BaseException):
    """As a library in Rust raises it."""


@pytest.mark.parametrize("error", [ValueError, Panic])
def test_work_that_fails_costs_no_thread(error: type[BaseException]) -> None:
    crew, done = Crew(1, "test"), Queue[str]()

    def fail() -> None:
        raise error

    crew.do(fail)
    crew.do(lambda: done.put("done"))
    assert done.get(timeout=60) == "done"
    crew.close()
    crew.close()
