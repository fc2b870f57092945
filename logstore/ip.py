"""Ranges of addresses as LogQL's `ip()` has them: one, first-last, or CIDR; and the addresses within a text."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Address = IPv4Address | IPv6Address

_IN_TEXT = re.compile(r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7})(?![\w:])")


@lru_cache(maxsize=256)
def in_range(text: str) -> Callable[[Address], bool]:
    """Whether an address is in a range. Raises: ValueError."""
    try:
        if "/" in text:
            network = ip_network(text, strict=False)
            return lambda a: a.version == network.version and a in network
        first, _, last = text.partition("-")
        low, high = ip_address(first.strip()), ip_address((last or first).strip())
    except ValueError:
        raise ValueError(
            f"cannot read address range {text!r}: write 10.0.0.1, 10.0.0.1-10.0.0.9 or 10.0.0.0/8"
        ) from None
    if low.version != high.version or int(low) > int(high):
        raise ValueError(f"cannot read address range {text!r}: it ends before it begins")
    return lambda a: a.version == low.version and int(low) <= int(a) <= int(high)


def parsed(text: str) -> Address | None:
    """The address that a text is, None where it is none."""
    try:
        return ip_address(text.strip())
    except ValueError:
        return None


def holds(line: str, test: Callable[[Address], bool]) -> bool:
    """Whether some address within a line passes."""
    found = (parsed(match.group()) for match in _IN_TEXT.finditer(line))
    return any(address is not None and test(address) for address in found)


def line_mask(lines: pa.Array, test: Callable[[Address], bool]) -> npt.NDArray[np.bool_]:
    """Which lines hold such an address; each distinct one is looked at once."""
    distinct = lines.dictionary_encode()
    hits = np.array([holds(line, test) for line in distinct.dictionary.to_pylist()], np.bool_)
    mask: npt.NDArray[np.bool_] = hits[distinct.indices.to_numpy(zero_copy_only=False)]
    return mask
