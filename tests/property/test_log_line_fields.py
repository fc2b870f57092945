"""Values that a kernel takes out of lines against what the parsers say of the same lines."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from obs import warm
from obs.logstore.linefields import JSON, LOGFMT, ODD_LABELS, PARSERS, extract
from obs.logstore.logql.stages.json_parser import JsonStage
from obs.logstore.logql.stages.logfmt_parser import LogfmtStage
from obs.logstore.logql.syntax import JsonParser, LogfmtParser

LABELS = ("a", "b_c", "_1x", "a_b_c", "né", "a_b")
KEYS = st.sampled_from(["a", "b_c", "b.c", "1x", "b", "a.b", "c", "", "né", "a\tb", "__error__", "other", "q" * 300])
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "x", "é", '"', "a\nb", "\\"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
PIECES = [
    '{"a":1}', '{"a":1,"a":2}', '{"a":{"b":1},"a":{"c":2}}', '{"a":{"b":1},"a":7}', '{"a":7,"a":{"b_c":1}}',
    '{"a":{"b":1},"a_b":2}', '{"b.c":1,"b_c":2}', '{"a":null,"b_c":"x"}', '{"a":[{"a":2}],"b_c":1}', '{"a":1.50}',
    '{"a":1e3}', '{"a":-0}', '{"a":0.0}', '{"a":01}', '{"a":1.}', '{"a":-}', '{"a":+1}', '{"a":NaN}', '{"a":tru}',
    '{"a":1,}', '{"a" : "x" , "b_c":\t[ ]}', "{}", ' {"a":{}} ', '{"a":"\\u0061"}', '{"\\u0061":1}',
    '{"c":"\\n","a":1}', '{"c":"\\x","a":1}', '{"a":"x"}}', '{"a":"x"', '{"a":"x', '{"a"', "[1]", "5", "", " ",
    '{"a":1}{', "not json", '{"a":123456789012345678901234567890}', '{"a":1,"__error__":"x"}', '{"c":[1,],"a":1}',
    '{"a":[[[{"a":1}]]],"b":{"c":2}}', '{"c":"\x01","a":1}', '{"":{"a":1}}', '{"a":"\x7f"}', "a=1 b.c=x", "a=1 a=2",
    "a=1 a=", 'a="x y" b_c=2', 'a="x\\"y"', 'c="x\\"y" a=3', 'c="x\\\ny" a=3', 'a="x"b=1', "a==1", "a= b_c", "a=x=y",
    "=x a=1", 'a=x"y', "1x=é", "a=x\ta=2", "a", 'a="x', "a=\xa0b", "né=1", 'a=""', 'a="" a=1', "__error__=1 a=2",
    "a=x  b_c=y ", "c" * 300 + "=1 a=2", 'a="\\',
]  # fmt: skip
ODDITIES = st.sampled_from([*'{}[],:"\\ ="\n\x00é1.e-', "null", "\xa0", "\x85"])


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    warm.load_now("obs.logstore.kernels")


def parsed(parser: str, line: str) -> Mapping[str, str]:
    return JsonStage(JsonParser())._labels(line) if parser == JSON else LogfmtStage(LogfmtParser())._labels(line)


def check(lines: list[str]) -> None:
    for parser in PARSERS:
        found = extract(pa.array(lines, pa.string()), parser, LABELS)
        assert found is not None
        columns = {name: array.to_pylist() for name, array in found.columns.items()}
        for row, line in enumerate(lines):
            values = {name: column[row] for name, column in columns.items() if column[row] is not None}
            if not found.covered[row]:
                assert not values
                continue
            expected = parsed(parser, line)
            assert values == {name: expected[name] for name in LABELS if name in expected}, (parser, line)
            assert not expected.keys() & set(ODD_LABELS)


@given(st.lists(st.dictionaries(KEYS, VALUES, max_size=5), max_size=5), st.booleans())
@settings(max_examples=200, deadline=None)
def test_fields_of_objects(objects: list[dict[str, object]], ascii_: bool) -> None:
    check([json.dumps(value, ensure_ascii=ascii_) for value in objects])


@given(st.lists(st.sampled_from(PIECES), min_size=1, max_size=3), st.integers(0, 40), ODDITIES)
@settings(max_examples=300, deadline=None)
def test_fields_of_broken_lines(pieces: list[str], at: int, odd: str) -> None:
    line = "".join(pieces)
    check([line, line[:at] + odd + line[at:], line[:at] + odd + line[at + 1 :], line[:at]])


def test_fields_of_odd_lines() -> None:
    check(PIECES)


@pytest.mark.parametrize(
    ("parser", "line", "values"),
    [
        (JSON, '{"status":500,"took":1.50,"ok":true,"who":{"id":"é"},"tags":["x"]}',
         {"status": "500", "took": "1.50", "ok": "true", "who_id": "é"}),
        (LOGFMT, 'status=500 took=1.50 ok who.id="é x" url=/a?b=c', {"status": "500", "took": "1.50", "who_id": "é x"}),
    ],
)  # fmt: skip
def test_ordinary_lines_are_covered(parser: str, line: str, values: Mapping[str, str]) -> None:
    found = extract(pa.array([line]), parser, ["status", "took", "ok", "who_id", "tags"])
    assert found is not None
    assert found.covered.all()
    assert {name: array[0].as_py() for name, array in found.columns.items()} == values
