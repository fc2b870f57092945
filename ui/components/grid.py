"""Tables: dash-ag-grid in the page's own colours, with columns that format numbers in the browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import dash_ag_grid as dag

Column = dict[str, Any]
THEME = {
    "function": "themeQuartz.withParams({backgroundColor:'var(--panel)',foregroundColor:'var(--text)',"
    "borderColor:'var(--line)',headerBackgroundColor:'var(--panel)',headerTextColor:'var(--dim)',"
    "headerFontWeight:500,rowHoverColor:'var(--hover)',fontFamily:'inherit',fontSize:12,spacing:5,"
    "wrapperBorder:false,wrapperBorderRadius:0,accentColor:'var(--accent)',rowHeight:28,headerHeight:30,"
    "columnBorder:false,oddRowBackgroundColor:'var(--panel)'})"
}


def text(field: str, title: str, **options: Any) -> Column:
    """A column of words."""
    return {"field": field, "headerName": title, "flex": 1, "minWidth": 110, "tooltipField": field, **options}


def number(field: str, title: str, unit: str = "none", **options: Any) -> Column:
    """A column of numbers, written in a unit by the page's script."""
    return {
        "field": field, "headerName": title, "type": "rightAligned", "width": 104, "cellClass": "num",
        "valueFormatter": {"function": f"obsNumber(params.value, '{unit}')"}, **options,
    }  # fmt: skip


def time(field: str, title: str, **options: Any) -> Column:
    """A column of moments, given in nanoseconds, written as the reader's clock."""
    return {
        "field": field, "headerName": title, "width": 180, "cellClass": "tabular",
        "valueFormatter": {"function": "obsTime(params.value)"}, **options,
    }  # fmt: skip


def linked(column: Column, href_field: str) -> Column:
    """The column as links to what the row's `href_field` holds."""
    return {**column, "cellRenderer": "ObsLink", "cellRendererParams": {"hrefField": href_field}}


def fitted(rows: int, most: int) -> dict[str, Any]:
    """The style of a table as tall as its rows, up to `most` of them; past that it scrolls."""
    return {"height": 34 + 28 * max(2, min(rows, most)), "width": "100%"}


def grid(
    id: str, columns: Sequence[Column], rows: Sequence[Mapping[str, Any]] = (), *, height: int | None = None,
    empty: str = "Nothing here yet", row_id: str | None = None, **options: Any,
) -> Any:  # fmt: skip
    """A table; without `height` as tall as its rows."""
    grid_options = {
        "theme": THEME, "animateRows": False, "suppressCellFocus": True, "tooltipShowDelay": 400,
        "enableCellTextSelection": True,
        "domLayout": "normal" if height else "autoHeight", "suppressColumnVirtualisation": True,
        "localeText": {"noRowsToShow": empty}, **options,
    }  # fmt: skip
    extra = {"getRowId": f"params.data.{row_id}"} if row_id else {}
    return dag.AgGrid(
        id=id, columnDefs=list(columns), rowData=list(rows), dashGridOptions=grid_options, className="grid",
        defaultColDef={"sortable": True, "resizable": True, "suppressHeaderMenuButton": True},
        style={"height": height, "width": "100%"}, **extra,
    )  # fmt: skip
