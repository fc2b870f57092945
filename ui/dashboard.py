"""Builds the Dash app: its page template, its layout, and the callbacks of the shell and of every page."""

from __future__ import annotations

from pathlib import Path

import dash
from dash import Input, Output, State
from fastapi import FastAPI

from obs.client import ObsClient
from obs.ui import shell
from obs.ui.app import PREFIX, AsgiApp
from obs.ui.pages import ROUTES, missing
from obs.ui.view import View

ASSETS = Path(__file__).resolve().parent / "assets"
TEMPLATE = """<!doctype html>
<html lang="en">
<head>
{%metas%}
<title>{%title%}</title>
<link rel="icon" href="/ui/assets/mark.svg" type="image/svg+xml">
<script>
(function () {
  var kept = localStorage.getItem("mantine-color-scheme-value") || "auto";
  var dark = kept === "dark" || (kept === "auto" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.setAttribute("data-mantine-color-scheme", dark ? "dark" : "light");
})();
</script>
{%css%}
</head>
<body>
{%app_entry%}
<footer>{%config%}{%scripts%}{%renderer%}</footer>
</body>
</html>"""


def build(base_url: str) -> AsgiApp:
    """The UI as an ASGI app of its own; its callbacks ask the API at `base_url`."""
    client = ObsClient(base_url)
    app = dash.Dash(
        "obs.ui",
        server=FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        assets_folder=str(ASSETS),
        routes_pathname_prefix=f"{PREFIX}/",
        requests_pathname_prefix=f"{PREFIX}/",
        index_string=TEMPLATE,
        title="obs",
        update_title="",
        serve_locally=True,
        suppress_callback_exceptions=True,
        meta_tags=[{"name": "viewport", "content": "width=device-width, initial-scale=1"}],
        add_log_handler=False,
    )
    app.backend.websocket_capability = False  # else the page opens a socket that no callback of ours uses
    app.layout = shell.layout
    shell.register(app)
    for route in ROUTES:
        route.register(app, client)
    _register_router(app)
    server: AsgiApp = app.server
    return server


def _register_router(app: dash.Dash) -> None:
    @app.callback(Output("page", "children"), Input("url", "pathname"), State("url", "search"))
    def show(pathname: str, search: str) -> object:
        view = View.parse(search)
        for route in ROUTES:
            argument = route.match(pathname or "/")
            if argument is not None:
                return route.layout(view, argument)
        return missing.layout(pathname)
