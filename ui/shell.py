"""What surrounds every page: menu, time range, refresh, colour scheme; callbacks keep them with the URL."""

from __future__ import annotations

import time
from typing import Any

import dash_mantine_components as dmc
from dash import ALL, ClientsideFunction, Input, Output, State, dcc, html

from obs.ui.timerange import DEFAULT, PRESETS, label, parse_time
from obs.ui.view import View

MENU = (
    ("/", "Overview", "overview"),
    ("/ui/metrics", "Metrics", "metrics"),
    ("/ui/logs", "Logs", "logs"),
    ("/ui/traces", "Traces", "traces"),
    ("/ui/services", "Services", "services"),
    ("/ui/alerts", "Alerts", "alerts"),
)
REFRESH_S = {"off": 0, "5s": 5, "10s": 10, "30s": 30, "1m": 60}
REFRESH_BY_PAGE = {"/": "10s", "/ui/alerts": "10s"}
"""Pages that are looked at rather than worked in refresh unless told otherwise."""
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', sans-serif"
DARK = ("#dde2e8", "#aeb7c1", "#8f99a5", "#66707c", "#343b44", "#2b3138", "#20252b", "#1b1f24", "#16191d", "#111417")
"""Mantine's ten steps of dark, in the greys of the style sheet."""
MONO = "ui-monospace, 'SF Mono', 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace"


def layout() -> Any:
    """The whole document."""
    return dmc.MantineProvider(
        [
            dcc.Location(id="url", refresh=False),
            dcc.Store(id="offset", data=0),
            dcc.Interval(id="tick", interval=10_000, disabled=True),
            html.Div(id="busy"),
            html.A("Skip to the page", href="#page", className="skip-link"),
            dmc.AppShell(
                [_header(), _menu(), dmc.AppShellMain(html.Main(id="page", tabIndex=-1))],
                id="shell",
                header={"height": 46},
                navbar={"width": 176, "breakpoint": "sm", "collapsed": {"mobile": True}},
                padding=0,
            ),
        ],
        theme={
            "fontFamily": FONT, "fontFamilyMonospace": MONO, "primaryColor": "blue", "defaultRadius": "sm",
            "fontSizes": {"xs": "11px", "sm": "13px", "md": "14px"}, "cursorType": "pointer",
            "colors": {"dark": list(DARK)},
        },
        defaultColorScheme="auto",
    )  # fmt: skip


def _header() -> Any:
    brand = html.A([html.Span(className="mark"), html.Span("obs", className="wordmark")], href="/", className="brand")
    return dmc.AppShellHeader(
        [
            dmc.Burger(id="burger", hiddenFrom="sm", size="sm", opened=False, **{"aria-label": "Menu"}),
            brand,
            html.Div(className="spring"),
            _time_picker(),
            dmc.Select(
                id="refresh", data=list(REFRESH_S), value="off", size="xs", w=86, allowDeselect=False,
                leftSection=html.Span(className="icon icon-refresh"), className="refresh",
                attributes={"input": {"aria-label": "Refresh by itself"}},
            ),
            html.Button(
                html.Span(className="icon icon-reload"), id="reload", className="icon-button", title="Refresh now"
            ),
            dmc.ColorSchemeToggle(
                lightIcon=html.Span(className="icon icon-sun"), darkIcon=html.Span(className="icon icon-moon"),
                variant="subtle", color="gray", size="md", id="scheme",
                attributes={"root": {"aria-label": "Light or dark"}},
            ),
        ],
        className="header",
    )  # fmt: skip


def _time_picker() -> Any:
    presets = [
        html.Button(text, className="preset", **{"data-set": f"from=now-{preset}&to="}) for preset, text in PRESETS
    ]
    custom = html.Div(
        [
            dmc.TextInput(id="from", label="From", size="xs", value=DEFAULT, placeholder="now-2h"),
            dmc.TextInput(id="to", label="To", size="xs", value="now", placeholder="now"),
            html.Div("now-2h, or 2026-01-31 09:30", className="hint"),
            dmc.Button("Show this range", id="apply-range", size="xs", fullWidth=True),
        ],
        className="custom-range",
    )
    return dmc.Popover(
        [
            dmc.PopoverTarget(
                html.Button(
                    [html.Span(className="icon icon-clock"), html.Span("Last hour", id="range-label")],
                    className="range-button", id="range-button", title="Time range",
                )
            ),
            dmc.PopoverDropdown(html.Div([html.Div(presets, className="presets"), custom], className="range-menu")),
        ],
        id="range-popover", position="bottom-end", shadow="md", width=330,
    )  # fmt: skip


def _menu() -> Any:
    links = [
        html.A(
            [html.Span(className=f"icon icon-{icon}"), html.Span(name)],
            href=path,
            id={"type": "menu", "index": path},
            className="menu-link",
        )
        for path, name, icon in MENU
    ]
    return dmc.AppShellNavbar(
        [html.Nav(links), html.A("API", href="/api/docs", className="menu-foot")], className="menu"
    )


def register(app: Any) -> None:
    """Add the shell's callbacks."""
    app.clientside_callback(
        ClientsideFunction("obs", "menu"),
        Output({"type": "menu", "index": ALL}, "href"),
        Output({"type": "menu", "index": ALL}, "className"),
        Input("url", "pathname"),
        Input("url", "search"),
        State({"type": "menu", "index": ALL}, "id"),
    )
    app.clientside_callback(
        ClientsideFunction("obs", "burger"),
        Output("shell", "navbar"),
        Input("burger", "opened"),
        State("shell", "navbar"),
    )
    app.clientside_callback(
        "function () { return false; }", Output("burger", "opened"), Input("url", "pathname"), prevent_initial_call=True
    )
    app.clientside_callback(ClientsideFunction("obs", "offset"), Output("offset", "data"), Input("url", "pathname"))
    app.clientside_callback(ClientsideFunction("obs", "zoom"), Input({"type": "chart", "index": ALL}, "relayoutData"))
    app.clientside_callback(ClientsideFunction("obs", "refresh"), Input("refresh", "value"), prevent_initial_call=True)
    app.clientside_callback(
        ClientsideFunction("obs", "tick"), Output("tick", "n_intervals"), Input("reload", "n_clicks"),
        State("tick", "n_intervals"), prevent_initial_call=True,
    )  # fmt: skip
    _register_time(app)


def _register_time(app: Any) -> None:
    @app.callback(
        Output("range-label", "children"),
        Output("from", "value"),
        Output("to", "value"),
        Output("refresh", "value"),
        Output("tick", "interval"),
        Output("tick", "disabled"),
        Input("url", "pathname"),
        Input("url", "search"),
        Input("offset", "data"),
    )
    def show(pathname: str, search: str, offset_s: int) -> tuple[Any, ...]:
        view = View.parse(search)
        refresh = refresh_of(view, pathname)
        seconds = REFRESH_S[refresh]
        said = label(view, offset_s or 0)
        return said, view.get("from", DEFAULT), view.get("to", "now"), refresh, (seconds or 60) * 1000, not seconds

    @app.callback(
        Output("from", "error"), Output("to", "error"), Input("from", "value"), Input("to", "value"),
        State("offset", "data"), prevent_initial_call=True,
    )  # fmt: skip
    def check(start: str, end: str, offset_s: int) -> tuple[str | None, str | None]:
        return range_errors(start, end, time.time(), offset_s or 0)

    app.clientside_callback(
        ClientsideFunction("obs", "range"),
        Output("range-popover", "opened"),
        Input("apply-range", "n_clicks"),
        Input("url", "search"),
        State("from", "value"),
        State("to", "value"),
        State("from", "error"),
        State("to", "error"),
        prevent_initial_call=True,
    )


def refresh_of(view: View, pathname: str) -> str:
    """How often a page refreshes: as its URL says, else as the page is used."""
    asked = view.get("refresh") or REFRESH_BY_PAGE.get(pathname, "off")
    return asked if asked in REFRESH_S else "off"


def range_errors(start: str, end: str, now_s: float, offset_s: int) -> tuple[str | None, str | None]:
    """What is wrong with each end of a range as typed."""
    errors: list[str | None] = []
    moments: list[float] = []
    for text in (start or "", end or ""):
        try:
            moments.append(parse_time(text, now_s, offset_s))
            errors.append(None)
        except ValueError:
            errors.append("write now-2h, or 2026-01-31 09:30")
    if len(moments) == 2 and moments[1] <= moments[0]:
        errors[1] = "this is before the start"
    return errors[0], errors[1]
