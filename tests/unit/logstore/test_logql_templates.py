"""LogQL's template functions and Go's time layouts: each as Loki's documentation has it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from obs.errors import QueryError
from obs.logstore.logql import go_time
from obs.logstore.logql.stages.formats import Template

NS = 10**9
NOON = 1_700_000_000 * NS + 123_456_789  # 2023-11-14 22:13:20.123456789 UTC


class OneRow:
    """What a template asks of rows."""

    def __init__(self, labels: dict[str, str], line: str) -> None:
        self._labels, self._line = labels, line

    def __len__(self) -> int:
        return 1

    def label(self, name: str) -> pa.Array | None:
        return pa.array([self._labels[name]]) if name in self._labels else None

    def line(self) -> pa.Array:
        return pa.array([self._line])

    def times(self) -> object:
        return pa.array([NOON]).to_numpy()


def expanded(template: str) -> tuple[str | None, str | None]:
    row = OneRow(
        {"user": "Ann", "n": "3", "took": "1m30s", "size": "2KB", "path": "/a b", "json": '{"k":["x","y"]}'}, "the line"
    )
    texts, errors = Template(template).of(row)  # type: ignore[arg-type]
    return texts[0].as_py(), None if errors is None else errors[0].as_py()


@pytest.mark.parametrize(
    ("template", "text"),
    [
        ("{{ToLower .user}} {{.user | ToUpper}} {{title \"ab cd\"}}", "ann ANN Ab Cd"),
        ('{{Replace .user "n" "m" -1}} {{Replace .user "n" "m" 1}} {{.user | replace "n" "x"}}', "Amm Amn Axx"),
        ('{{Trim "--a--" "-"}} {{TrimLeft "--a" "-"}} {{TrimPrefix .user "A"}}', "a a nn"),
        ('{{"abc" | trimSuffix "c"}}', "ab"),
        ('[{{alignLeft 5 .user}}] [{{alignRight 5 .user}}] [{{alignRight 2 .user}}]', "[Ann  ] [  Ann] [nn]"),
        ('{{.user | b64enc}} {{"QW5u" | b64dec}} {{.path | urlencode}} {{"a%20b" | urldecode}}', "QW5u Ann %2Fa+b a b"),
        ('{{add 1 2 3}} {{sub 5 2}} {{mul 2 3}} {{div 7 2}} {{mod 7 3}}', "6 3 6 3 1"),
        ("{{addf 1.5 2}} {{divf 9 2}}", "3.5 4.5"),
        ('{{max 1 5 2}} {{min 1 5 2}} {{maxf 1.5 2.5}} {{ceil 1.2}} {{floor 1.8}}', "5 1 2.5 2 1"),
        ("{{round 1.2345 2}}", "1.23"),
        ('{{int .n | add 1}} {{float64 "1.5"}} {{bytes .size}} {{duration_seconds .took}}', "4 1.5 2000 90"),
        ('{{regexReplaceAll "(a)(b)" "xaby" "${2}$1"}} {{regexReplaceAllLiteral "a+" "baac" "$1"}}', "xbay b$1c"),
        ('{{count "n" .user}} {{contains "n" .user}} {{hasPrefix "A" .user}}', "2 true true"),
        ('{{hasSuffix "x" .user}}', "false"),
        ('{{substr 0 2 .user}} {{trunc 2 .user}} {{trunc -2 .user}} {{repeat 3 "ab"}}', "An An nn ababab"),
        ('{{default "none" .missing}} {{default "none" .user}}', "none Ann"),
        ('{{indent 2 "a"}}|{{nindent 1 "b"}}', "  a|\n b"),
        ('{{range $i, $v := (index (fromJson .json) "k")}}{{$i}}={{$v}} {{end}}', "0=x 1=y "),
        ('{{if eq .user "Ann"}}yes{{else}}no{{end}} {{with .missing}}x{{else}}empty{{end}}', "yes empty"),
        ('{{printf "%-5s|%03d" .user (int .n)}} {{__line__ | len}}', "Ann  |003 8"),
        ('{{__timestamp__ | date "2006-01-02T15:04:05.000Z07:00"}}', "2023-11-14T22:13:20.123Z"),
        ('{{__timestamp__ | unixEpoch}} {{__timestamp__ | unixEpochMillis}}', "1700000000 1700000000123"),
        ('{{"1700000000" | unixToTime | date "15:04"}}', "22:13"),
        ('{{toDate "2006-01-02" "2023-11-14" | unixEpoch}}', "1699920000"),
    ],
)  # fmt: skip
def test_functions(template: str, text: str) -> None:
    assert expanded(template) == (text, None)


def test_a_template_that_fails_says_so() -> None:
    assert expanded("{{div 1 0}}") == (None, "error calling div: division by zero")
    with pytest.raises(QueryError, match="function 'nothing' not defined"):
        Template("{{nothing}}")


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("Mon Jan _2 15:04:05 2006", "Tue Nov 14 22:13:20 2023"),
        ("1/2/06 3:04PM", "11/14/23 10:13PM"),
        ("2006-01-02 15:04:05.999999", "2023-11-14 22:13:20.123456"),
        ("2006-01-02T15:04:05-07:00", "2023-11-14T22:13:20+00:00"),
    ],
)
def test_layouts(layout: str, text: str) -> None:
    assert go_time.go_layout(layout, NOON) == text
    read = go_time.parse_layout(layout, text)
    assert NOON - 60 * NS < read <= NOON
