"""Stages as they are written → stages that run, each told which labels are looked at behind it.

A parser whose labels are not all looked at makes the others not; before one that makes all, the rows that the filters
behind it drop for sure are left out (`sieve`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from obs.logstore import linefields
from obs.logstore.indexing import BODY
from obs.logstore.logql.stage_syntax import (
    Decolorize,
    IpLineFilter,
    LabelFormat,
    LineFormat,
    PatternFilter,
    PatternParser,
    Pick,
    RegexpParser,
    Unpack,
)
from obs.logstore.logql.stages.formats import LabelFormatStage, LineFormatStage, Template
from obs.logstore.logql.stages.full_text import FullTextStage
from obs.logstore.logql.stages.json_parser import JsonStage
from obs.logstore.logql.stages.label_filter import LabelFilterStage
from obs.logstore.logql.stages.line_filter import LineFilterStage
from obs.logstore.logql.stages.line_tests import DecolorizeStage, IpLineStage, PatternFilterStage
from obs.logstore.logql.stages.logfmt_parser import LogfmtStage
from obs.logstore.logql.stages.made_labels import Wanted
from obs.logstore.logql.stages.picking import PickStage
from obs.logstore.logql.stages.sieve import SieveStage
from obs.logstore.logql.stages.stage import Runnable
from obs.logstore.logql.stages.text_parsers import PatternStage, RegexpStage, UnpackStage
from obs.logstore.logql.syntax import (
    AllOf,
    Comparison,
    Condition,
    FullText,
    JsonParser,
    LabelFilter,
    LineFilter,
    LogfmtParser,
    Stage,
    Unit,
)
from obs.logstore.selection import Requirement
from obs.logstore.tokens import phrase_needle

STAGES: dict[type, type] = {
    LineFilter: LineFilterStage,
    FullText: FullTextStage,
    LabelFilter: LabelFilterStage,
    JsonParser: JsonStage,
    LogfmtParser: LogfmtStage,
    RegexpParser: RegexpStage,
    PatternParser: PatternStage,
    Unpack: UnpackStage,
    Decolorize: DecolorizeStage,
    LineFormat: LineFormatStage,
    LabelFormat: LabelFormatStage,
    Pick: PickStage,
    PatternFilter: PatternFilterStage,
    IpLineFilter: IpLineStage,
}
"""Every stage of the language and what runs it."""

_TESTS = (LabelFilter, LineFilter, PatternFilter, IpLineFilter)
"""Stages that drop rows and change nothing."""


_CHANGES = (LineFormat, Decolorize, Unpack)
"""Stages that change the line."""


def runnable(syntax: Sequence[Stage], needed: frozenset[str] | None = None) -> tuple[Runnable, ...]:
    """The stages ready to run; `needed`: the labels that are looked at behind them, None where that is all."""
    made: list[Runnable] = []
    changes = next((i for i, stage in enumerate(syntax) if isinstance(stage, _CHANGES)), len(syntax))
    tests: list[tuple[Stage, Runnable]] = []  # those right behind the stage at hand, the last first
    for i, stage in reversed(list(enumerate(syntax))):
        if isinstance(stage, (JsonParser, LogfmtParser)):
            made += _parsers(stage, needed, tests[::-1], i < changes)
        else:
            made.append(STAGES[type(stage)](stage))
        tests = [*tests, (stage, made[-1])] if isinstance(stage, _TESTS) else []
        needed = read_by(stage, needed)
    return tuple(reversed(made))


def _parsers(
    stage: JsonParser | LogfmtParser, needed: frozenset[str] | None, tests: Sequence[tuple[Stage, Runnable]], body: bool
) -> Iterable[Runnable]:
    """A parser, and in front of it what spares it rows: the last first."""
    if stage.extractions:
        return (STAGES[type(stage)](stage),)
    odd = isinstance(stage, LogfmtParser) and (stage.keep_empty or stage.strict)
    parser = "" if odd else linefields.JSON if isinstance(stage, JsonParser) else linefields.LOGFMT
    requires = tuple(_requirements(tests, parser)) if body and parser else ()
    if needed is not None:
        return (STAGES[type(stage)](stage, Wanted(needed, parser, body=body, requires=requires)),)
    looked_at = read_behind([test for test, _ in tests], frozenset())
    if not looked_at:
        return (STAGES[type(stage)](stage),)
    wanted = Wanted(looked_at, parser, only=False, body=body, requires=requires)
    filters = [run for test, run in tests if isinstance(test, LabelFilter)]
    return (STAGES[type(stage)](stage, wanted), SieveStage(wanted, filters))


def _requirements(tests: Sequence[tuple[Stage, Runnable]], parser: str) -> Iterator[Requirement]:
    """What the body of a row holds that the tests behind a parser of it keep."""
    for test, run in tests:
        if not isinstance(test, LabelFilter):
            yield from run.requirements()
            continue
        parts = test.condition.parts if isinstance(test.condition, AllOf) else (test.condition,)
        for part in parts:
            if isinstance(part, Comparison) and part.unit is Unit.TEXT and part.op == "=":
                needle = phrase_needle(part.text)
                if needle:
                    plain = parser == linefields.JSON and part.text.isprintable()  # \n before a word is one with it
                    yield Requirement((BODY,), needle, part.name, parser, plain)


def read_behind(stages: Sequence[Stage], needed: frozenset[str] | None) -> frozenset[str] | None:
    """The labels that stages and what is behind them look at; None: all."""
    for stage in reversed(stages):
        needed = read_by(stage, needed)
    return needed


def read_by(stage: Stage, needed: frozenset[str] | None) -> frozenset[str] | None:
    """The labels that are looked at before a stage, by those looked at behind it."""
    if isinstance(stage, Pick) and not stage.drops:
        kept = frozenset((*stage.names, *(m.name for m in stage.matchers)))
        return kept if needed is None else needed | kept
    if needed is None:
        return None
    match stage:
        case LabelFilter():
            return needed | condition_names(stage.condition)
        case Pick():
            return needed | {m.name for m in stage.matchers}
        case LineFormat():
            return needed | set(Template(stage.template).labels)
        case LabelFormat():
            return needed.union(*([what] if is_name else Template(what).labels for _, what, is_name in stage.changes))
    return needed


def condition_names(condition: Condition) -> frozenset[str]:
    """The labels that a condition looks at."""
    if isinstance(condition, Comparison):
        return frozenset((condition.name,))
    return frozenset().union(*map(condition_names, condition.parts))
