"""`| line_format` and `| label_format`: lines and labels from templates, each distinct set of labels expanded once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from obs.errors import QueryError
from obs.gotemplate.lexer import TemplateError
from obs.gotemplate.parser import parse
from obs.gotemplate.tree import Path, Tree, paths
from obs.gotemplate.walk import Walk
from obs.logstore.chunks import Rows, encoded
from obs.logstore.logql.stage_syntax import LabelFormat, LineFormat
from obs.logstore.logql.stages.errors import DETAILS, ERROR, TEMPLATE
from obs.logstore.logql.stages.made_labels import with_found
from obs.logstore.logql.template_functions import FUNCTIONS, LINE, NAMES, TIMESTAMP
from obs.logstore.selection import Requirement

Inputs = tuple[Sequence[str], npt.NDArray[np.int64]]


class Template:
    """A template over the labels of rows. Raises: QueryError where it does not read."""

    def __init__(self, text: str) -> None:
        try:
            self._tree: Tree = parse(text, NAMES)
        except TemplateError as e:
            raise QueryError(f"cannot read template {text!r}: {e}") from None
        used = list(paths(self._tree))
        self._fields = list(dict.fromkeys(p.fields[0] for p in used if isinstance(p, Path) and p.fields))
        self._line, self._time = (name in text for name in (LINE, TIMESTAMP))

    @property
    def labels(self) -> Sequence[str]:
        """The labels it looks at."""
        return self._fields

    def of(self, rows: Rows) -> tuple[pa.Array, pa.Array | None]:
        """The text of each row, and why it has none where some row has not: string[rows]."""
        columns = [_column(rows.label(name), len(rows)) for name in self._fields]
        columns.append(_column(rows.line() if self._line else None, len(rows)))
        times = rows.times() if self._time else np.zeros(len(rows), np.int64)
        codes = np.stack([*(c for _, c in columns), times])
        distinct, place = np.unique(codes, axis=1, return_inverse=True)
        texts, errors = [], []
        for column in distinct.T.tolist():
            values = [texts_[code] for (texts_, _), code in zip(columns, column, strict=False)]
            text, error = self._expand(dict(zip(self._fields, values, strict=False)), values[-1], column[-1])
            texts.append(text)
            errors.append(error)
        at = pa.array(place.ravel())
        return pa.array(texts, pa.string()).take(at), pa.array(errors, pa.string()).take(at) if any(errors) else None

    def _expand(self, labels: Mapping[str, str], line: str, time_ns: int) -> tuple[str | None, str | None]:
        given = {LINE: lambda: line, TIMESTAMP: lambda: time_ns}
        try:
            return Walk(self._tree.defined, {**FUNCTIONS, **given}, {"$": labels}).text(self._tree.body, labels), None
        except TemplateError as e:
            return None, str(e)


def _column(array: pa.Array | None, rows: int) -> Inputs:
    """Distinct texts, the empty one last, and the code of each row."""
    if array is None:
        return [""], np.zeros(rows, np.int64)
    values, codes = encoded(array)
    texts = [*(v or "" for v in values), ""]
    return texts, np.where(codes < 0, len(texts) - 1, codes)


def _errors(details: pa.Array) -> dict[str, pa.Array]:
    kinds = pc.if_else(details.is_valid(), pa.scalar(TEMPLATE), pa.scalar(None, pa.string()))
    return {ERROR: kinds, DETAILS: details}


class _Formats:
    makes_labels = True

    def requirements(self) -> tuple[Requirement, ...]:
        """It keeps every row."""
        return ()


class LineFormatStage(_Formats):
    """The line is a template's text; where that fails it stays as it was."""

    def __init__(self, syntax: LineFormat) -> None:
        self._template = Template(syntax.template)

    def apply(self, rows: Rows) -> Rows:
        """Expand for each distinct set of labels."""
        texts, errors = self._template.of(rows)
        if errors is None:
            return rows.with_line(texts)
        lines = pc.coalesce(texts, rows.line()) if texts.null_count else texts
        return with_found(rows, _errors(errors)).with_line(lines)


class LabelFormatStage(_Formats):
    """Labels renamed, or made of templates; all see the labels as they were before the stage."""

    def __init__(self, syntax: LabelFormat) -> None:
        self._changes = [(to, what if is_name else Template(what)) for to, what, is_name in syntax.changes]

    def apply(self, rows: Rows) -> Rows:
        """One column a change."""
        made = dict(self._made(rows))
        errors = {name: made.pop(name) for name in (ERROR, DETAILS) if name in made}
        return with_found(rows.with_labels(made), errors)

    def _made(self, rows: Rows) -> Iterator[tuple[str, pa.Array]]:
        none = pa.nulls(len(rows), pa.string())
        for to, what in self._changes:
            if isinstance(what, Template):
                texts, errors = what.of(rows)
                yield to, texts
                if errors is not None:
                    yield from _errors(errors).items()
                continue
            array = rows.label(what)
            yield to, none if array is None else array.cast(pa.string())
            if what != to:
                yield what, none
