"""Annotation templates: text in, text out. The expected texts are what Prometheus 2.42 makes of these templates."""

from collections.abc import Sequence

import pytest

from obs.alertmanager.template.expand import Place, expand
from obs.alertmanager.template.functions import GIVEN, NAMES
from obs.errors import QueryError
from obs.gotemplate.lexer import TemplateError
from obs.gotemplate.parser import parse
from obs.model.labels import make_labels
from obs.model.ports import VectorSample

LABELS = {"__name__": "foo_total", "instance": "db-1.example:9100"}
TWO = [VectorSample(make_labels({"a": a}), 0, v) for a, v in (("y", 2.0), ("x", 1.0))]
ANSWERS = {"two": TWO, "one": [VectorSample((), 0, 5.0)], "none": []}


def ask(query: str) -> Sequence[VectorSample]:
    if query not in ANSWERS:
        raise QueryError(f"cannot parse {query!r}")
    return ANSWERS[query]


PLACE = Place(ask, "http://host:9090")


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("no action", "no action"),
        ("{{ $labels.instance }} {{ .Labels.instance }}", "db-1.example:9100 db-1.example:9100"),
        ("{{ $labels.absent }}|{{ $externalLabels.zone }}|{{ .ExternalLabels.zone }}|", "|||"),
        ("{{ $labels }}", "map[__name__:foo_total instance:db-1.example:9100]"),
        ("{{ $value }} {{ .Value }} {{ ($value) }}", "123456.789 123456.789 123456.789"),
        (
            "{{ 1e21 }} {{ 1e20 }} {{ 1e-5 }} {{ 100000000.0 }} {{ 1.5e3 }} {{ 0.25 }}",
            "1e+21 1e+20 1e-05 1e+08 1500 0.25",
        ),
        ("{{ 0x10 }} {{ true }} {{ 3 }} {{ 'a' }} {{ -7 }}", "16 true 3 97 -7"),
        # queries
        ('{{ range query "two" | sortByLabel "a" }}[{{ .Labels.a }}={{ .Value }}]{{ end }}', "[x=1][y=2]"),
        ('{{ query "one" | first | value | humanize }}', "5"),
        ('{{ with query "none" }}some{{ else }}none{{ end }}', "none"),
        ('{{ with query "one" }}{{ . | first | value }}{{ end }}', "5"),
        (
            '{{ range $i, $e := query "two" }}{{ if $i }}, {{ end }}{{ $i }}:{{ $e.Labels.a }}{{ else }}-{{ end }}',
            "0:y, 1:x",
        ),
        ('{{ range query "none" }}x{{ else }}empty{{ end }}', "empty"),
        ('{{ query "two" | first | label "a" }} {{ (query "one" | first).Value }} {{ len (query "two") }}', "y 5 2"),
        ('{{ range query "two" }}{{ .Value }}{{ break }}{{ end }}', "2"),
        ('{{ range query "two" }}{{ if eq .Labels.a "y" }}{{ continue }}{{ end }}{{ . }}{{ end }}', "&{map[a:x] 1}"),
        # printf
        (
            '{{ printf "%.2f %s %q %v %d %05.1f %x %-6s| %+d %t %T" '
            '$value "i" "a\\"b" $value 42 3.14159 255 "ab" 7 true 1.5 }}',
            '123456.79 i "a\\"b" 123456.789 42 003.1 ff ab    | +7 true float64',
        ),
        ('{{ printf "%d" $value }} {{ printf "%s" 1.5 }}', "%!d(float64=123456.789) %!s(float64=1.5)"),
        ('{{ printf "%d" }} {{ printf "%d" 1 2 }} 100{{ printf "%%" }}', "%!d(MISSING) 1%!(EXTRA int=2) 100%"),
        (
            '{{ $value | printf "%.3g" }} {{ printf "%e %g %6.2f|" $value $value 1.0 }}',
            "1.23e+05 1.234568e+05 123456.789   1.00|",
        ),
        # numbers
        (
            "{{ humanize $value }} {{ humanize 0.00012345 }} {{ humanize 0 }} {{ humanize 1e30 }} "
            "{{ humanize -1234.5678 }} "
            "{{ humanize 999.99999 }}",
            "123.5k 123.4u 0 1e+06Y -1.235k 1000",
        ),
        ("{{ humanize1024 $value }} {{ humanize1024 1024 }} {{ humanize1024 0.5 }}", "120.6ki 1ki 0.5"),
        (
            "{{ humanizeDuration 0 }} {{ humanizeDuration 0.001 }} {{ humanizeDuration 59.5 }} "
            "{{ humanizeDuration 60 }} "
            "{{ humanizeDuration 3661 }} {{ humanizeDuration 90061 }} {{ humanizeDuration -75 }}",
            "0s 1ms 59.5s 1m 0s 1h 1m 1s 1d 1h 1m 1s -1m 15s",
        ),
        ("{{ humanizePercentage 0.1234567 }} {{ humanizePercentage 1 }}", "12.35% 100%"),
        ("{{ humanizeTimestamp 1435065584.128 }}", "2015-06-23 13:19:44.128 +0000 UTC"),
        (
            "{{ humanizeTimestamp 0 }} {{ toTime 1435065584 }}",
            "1970-01-01 00:00:00 +0000 UTC 2015-06-23 13:19:44 +0000 UTC",
        ),
        ('{{ humanize "12345" }} {{ parseDuration "1h30m" }}', "12.35k 5400"),
        ('{{ "1h" | parseDuration | humanizeDuration }}', "1h 0m 0s"),
        # text
        ('{{ title "foo bar" }} {{ toUpper "a\u00e9" }} {{ toLower "AB" }}', "Foo Bar A\u00c9 ab"),
        ('{{ match "a.*" "xabc" }} {{ reReplaceAll "(.)b" "${1}X$1" "abab" }}', "true aXaaXa"),
        ('{{ stripPort "1.2.3.4:80" }} {{ stripPort "[::1]:80" }} {{ stripPort "host" }}', "1.2.3.4 ::1 host"),
        ('{{ stripDomain "a.b.c:9" }} {{ stripDomain "10.0.0.1:9" }} {{ stripDomain "a" }}', "a:9 10.0.0.1:9 a"),
        ('{{ $labels.instance | reReplaceAll ":.*" "" | toUpper }}', "DB-1.EXAMPLE"),
        (
            '{{ html "<b>&" }} {{ urlquery "a b&c" }} {{ print 1 2 "x" 3 }} {{ safeHtml "<b>" }}',
            "&lt;b&gt;&amp; a+b%26c 1 2x3 <b>",
        ),
        ('{{ "a}}b" }} {{ `raw "x"` }} {{/* c */}}|{{- " t " -}}  |', 'a}}b raw "x" | t |'),
        ("a {{- /* gone */ -}} b", "ab"),
        # logic, variables, templates
        ("{{ if gt $value 0.5 }}high{{ else }}low{{ end }}", "high"),
        ("{{ if lt $value 1.0 }}a{{ else if lt $value 1e9 }}b{{ else }}c{{ end }}", "b"),
        ('{{ if and (gt $value 1.0) (lt $value 1e9) }}yes{{ end }} {{ not true }} {{ or "" "z" }}', "yes false z"),
        ('{{ if eq $labels.instance "x" "db-1.example:9100" }}eq{{ end }}', "eq"),
        ('{{ $x := "a" }}{{ if true }}{{ $x = "b" }}{{ $y := 1 }}{{ end }}{{ $x }}', "b"),
        ('{{ with $x := 5 }}{{ $x }}{{ . }}{{ end }}{{ with "" }}a{{ else }}b{{ end }}', "55b"),
        ('{{ define "m" }}<{{ . }}>{{ end }}{{ template "m" "hi" }}', "<hi>"),
        ('{{ args 1 "b" }} {{ with args 1 "b" }}{{ .arg0 }}{{ .arg1 }}{{ end }}', "map[arg0:1 arg1:b] 1b"),
        ("{{ range $k, $v := $labels }}{{ $k }}={{ $v }};{{ end }}", "__name__=foo_total;instance=db-1.example:9100;"),
        ('{{ index $labels "instance" }} {{ slice "abcdef" 1 3 }}', "db-1.example:9100 bc"),
        ("{{ externalURL }} {{ $externalURL }} {{ pathPrefix }}|", "http://host:9090 http://host:9090 |"),
    ],
)
def test_expands(template: str, expected: str) -> None:
    assert expand(template, LABELS, 123456.789, PLACE) == expected


@pytest.mark.parametrize(
    ("template", "cause"),
    [
        ('{{ first (query "none") }}', "error calling first: first() called on vector with no elements"),
        ('{{ query "what" }}', "error calling query: cannot parse 'what'"),
        ('{{ humanize "x" }}', "error calling humanize: cannot read 'x' as a number"),
        ("{{ lt 1 2.0 }}", "error calling lt: incompatible types for comparison"),
        ("{{ .Foo }}", "can't evaluate field Foo"),
        ('{{ template "m" }}', "template 'm' not defined"),
        ('{{ define "m" }}{{ template "m" }}{{ end }}{{ template "m" }}', "exceeded maximum template depth (100)"),
    ],
)
def test_a_template_that_fails_says_so_in_its_place(template: str, cause: str) -> None:
    assert expand(template, LABELS, 1.0, PLACE) == f"<error expanding template: {cause}>"


@pytest.mark.parametrize(
    "template",
    [
        "{{ nope }}", "{{ if true }}x", "{{ $x }}", "{{ }}", "{{ 1", "{{ end }}", "{{ else }}", "{{ (1 }}",
        "{{ 1 | 2 }}",
        "{{ break }}", "{{ if 1 }}{{ else }}{{ else }}{{ end }}", "{{ 1 2 }}", "{{ $x = 1 }}", '{{ "a }}',
        '{{ with $x := 1 }}{{ end }}{{ $x }}', '{{ define "m" }}{{ $labels }}{{ end }}', "{{ | }}", "{{ % }}",
    ],
)  # fmt: skip
def test_a_faulty_template_is_no_template(template: str) -> None:
    with pytest.raises(TemplateError):
        parse(template, NAMES, GIVEN)
