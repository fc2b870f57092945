"""The page of an address that is no page."""

from __future__ import annotations

from typing import Any

from obs.ui.components.states import message


def layout(pathname: str) -> Any:
    """Says so, and where to go."""
    return message("There is no page here", f"{pathname} is not one of obs' pages.", [("Go to the overview", "/")])
