"""Controls whose values live in the URL: what they hold goes there on submit, and comes back with the back button."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dash import Input, Output, State

Field = tuple[str, str]
"""(component id, default value)"""


def bind(
    app: Any, fields: Mapping[str, Field], submit: str, instant: Sequence[str] = (), enter: Sequence[str] = ()
) -> None:
    """Tie URL parameters to controls.

    `submit` is a button; parameters named `instant` go at once, controls in `enter` with the Enter key.
    """
    names = list(fields)
    defaults = [default for _, default in fields.values()]
    app.clientside_callback(
        f"function () {{ return obs.submit(arguments, {json.dumps(names)}, {json.dumps(defaults)}); }}",
        *(Input(fields[name][0], "value") for name in instant),
        *(Input(id, "n_submit") for id in enter),
        Input(submit, "n_clicks"),
        *(State(id, "value") for id, _ in fields.values()),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        f"function (search) {{ return obs.restore({json.dumps(names)}, {json.dumps(defaults)}); }}",
        *(Output(id, "value") for id, _ in fields.values()),
        Input("url", "search"),
        prevent_initial_call=True,
    )
