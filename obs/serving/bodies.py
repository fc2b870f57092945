"""Bodies of requests to the APIs: bounded in size and time, whoever reads them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from obs.errors import TooLarge, TooSlow

MAX_API_BODY_BYTES = 16 << 20
"""A form with a query, a SQL text, a silence, a push: the largest is a page of metrics of a few MiB."""

API_BODY_S = 60.0
"""How long it may take to arrive."""

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


def bounded(receive: Receive, limit: int = MAX_API_BODY_BYTES, seconds: float = API_BODY_S) -> Receive:
    """`receive` (ASGI) that raises TooLarge and TooSlow while a body is read; what comes after it is as it was."""
    size, whole = 0, False
    deadline = asyncio.get_running_loop().time() + seconds

    async def receive_some() -> Message:
        nonlocal size, whole
        if whole:
            return await receive()
        try:
            async with asyncio.timeout_at(deadline):
                message = await receive()
        except TimeoutError:
            raise TooSlow(f"cannot take the body: it is not whole after {seconds:g} s; send less, or faster") from None
        size += len(message.get("body", b""))
        whole = not message.get("more_body", False)
        if size > limit:
            raise TooLarge(f"cannot take a body of {size} bytes or more: the limit is {limit}; send less")
        return message

    return receive_some
