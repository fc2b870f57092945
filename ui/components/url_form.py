"""Controls whose values live in the URL: what they hold goes there on submit, and comes back with the back button."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dash import Input, Output, State

Field = tuple[str, str]
"""(component id, default value)"""


def bind(app: Any, fields: Mapping[str, Field], submit: str | None, instant: Sequence[str] = ()) -> None:
    """Tie URL parameters to controls. `submit` is a button; parameters named `instant` go without it."""
    names = list(fields)
    defaults = [default for _, default in fields.values()]
    states = [State(fields[name][0], "value") for name in names]
    triggers = [Input(fields[name][0], "value") for name in instant]
    if submit:
        triggers.append(Input(submit, "n_clicks"))
    app.clientside_callback(
        f"function () {{ return obs.submit(arguments, {json.dumps(names)}, {json.dumps(defaults)}); }}",
        *triggers,
        *states,
        prevent_initial_call=True,
    )
    outputs = [Output(fields[name][0], "value") for name in names]
    app.clientside_callback(
        f"function (search) {{ return obs.restore({json.dumps(names)}, {json.dumps(defaults)}); }}",
        *outputs,
        Input("url", "search"),
        prevent_initial_call=True,
    )
