"""logs: to come."""

from __future__ import annotations

from typing import Any

from obs.client import ObsClient
from obs.ui.components.states import message
from obs.ui.view import View


def layout(view: View, argument: str) -> Any:
    """The page before its data is there."""
    return message("Not there yet", "")


def register(app: Any, client: ObsClient) -> None:
    """Add the page's callbacks."""
