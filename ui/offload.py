"""Dash callbacks off the event loop: Dash's FastAPI backend runs a plain callback on it, where one that asks our own
API over HTTP would wait for itself. A coroutine that hands the work to a thread does not."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def threaded(function: Callable[P, R]) -> Callable[P, Awaitable[R]]:
    """`function` as a coroutine that runs it in a thread (with the caller's context variables)."""

    @functools.wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return await asyncio.to_thread(function, *args, **kwargs)

    return run
