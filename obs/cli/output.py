"""Rows written as a table, JSON or CSV. rich is imported only for a table."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from obs.cli.options import Output


def write_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], output: Output, headed: bool = False) -> None:
    """Rows under column names to standard output; `headed`: where CSV has the names already."""
    if output is Output.JSON:
        json.dump([dict(zip(columns, row, strict=True)) for row in rows], sys.stdout, ensure_ascii=False)
        print()
    elif output is Output.CSV:
        writer = csv.writer(sys.stdout)
        if not headed:
            writer.writerow(columns)
        writer.writerows([_cell(v) for v in row] for row in rows)
    else:
        _table(columns, rows)


def write_json(value: Any) -> None:
    """A value as one line of JSON."""
    json.dump(value, sys.stdout, ensure_ascii=False)
    print()


def note(text: str) -> None:
    """A remark beside the result, on standard error."""
    print(text, file=sys.stderr)


def labels_text(labels: dict[str, str]) -> str:
    """A label set as PromQL writes it."""
    pairs = ", ".join(f'{k}="{v}"' for k, v in labels.items() if k != "__name__")
    name = labels.get("__name__", "")
    return f"{name}{{{pairs}}}" if pairs or not name else name


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(_cell(v), justify="right" if isinstance(v, (int, float)) else "left") for v in row))
    console = Console()
    if not console.is_terminal:
        console.width = 10_000  # a pipe has no width: nothing is cut
    console.print(table)
