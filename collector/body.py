"""A request's body as it arrives: bounded in size and in time, with room in the pipeline for every byte."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from obs.collector import limits
from obs.collector.pipeline import Room
from obs.errors import TooLarge, TooSlow


async def read_body(request: Request, limit: int, room: Room, seconds: float = limits.BODY_S) -> bytes:
    """The request's body, in its room.

    Raises: TooLarge as soon as more than `limit` bytes are announced or seen, TooSlow, Overloaded.
    """
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise too_large(int(announced), limit)
    try:
        async with asyncio.timeout(seconds):
            return await _all(request, limit, room)
    except TimeoutError:
        raise too_slow(seconds) from None


async def _all(request: Request, limit: int, room: Room) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > limit:
            raise too_large(size, limit)
        room.grow(len(chunk))
        chunks.append(chunk)
    return b"".join(chunks)


def too_large(size: int, limit: int) -> TooLarge:
    """The error of a body of `size` bytes or more."""
    return TooLarge(f"cannot take a body of {size} bytes or more: the limit is {limit}; send smaller batches")


def too_slow(seconds: float) -> TooSlow:
    """The error of a body that is not whole after so long."""
    return TooSlow(f"cannot take the body: it is not whole after {seconds:g} s; send smaller batches, or faster")
