"""A query box: monospaced, grows with its text, Enter runs it, names are completed (see `assets/editor.js`)."""

from __future__ import annotations

from typing import Any

import dash_mantine_components as dmc
from dash import html


def editor(id: Any, value: str, language: str, run: str, placeholder: str) -> Any:
    """The box; `run` is the id of the button that Enter presses."""
    box = dmc.Textarea(
        id=id, value=value, placeholder=placeholder, autosize=True, minRows=1, maxRows=10, size="sm",
        classNames={"input": "mono"}, attributes={"input": {"aria-label": "Query", "spellCheck": "false"}},
    )  # fmt: skip
    return html.Div(box, className="editor", **{"data-language": language, "data-run": run})
