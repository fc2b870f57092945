"""Annotation templates: text in, text out."""

import pytest

from obs.alertmanager.template.expand import expand

LABELS = {"instance": "db-1:9100", "job": "db"}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("no action", "no action"),
        ("{{ $labels.instance }}", "db-1:9100"),
        ("{{ .Labels.job }}/{{ .Value }}", "db/0.75"),
        ("{{ $labels.absent }}|", "|"),
        ("{{ $value | humanizePercentage }}", "75%"),
        ('{{ printf "%.1f of %s" $value $labels.job }}', "0.8 of db"),
        ("{{ humanize 1234567 }} {{ humanize1024 1048576 }}", "1.235M 1Mi"),
        ("{{ humanizeDuration 93784 }}", "1d 2h 3m 4s"),
        ("{{ if gt $value 0.5 }}high{{ else }}low{{ end }}", "high"),
        ("{{ if gt $value 0.9 }}a{{ else if gt $value 0.7 }}b{{ else }}c{{ end }}", "b"),
        ("a {{- /* gone */ -}} b", "ab"),
        ("{{ $name := toUpper $labels.job }}{{ $name }}", "DB"),
        ('{{ reReplaceAll "(.*):.*" "$1" $labels.instance }}', "db-1"),
        ("{{ stripPort $labels.instance }}", "db-1"),
        ("{{ ($value) }}", "0.75"),
    ],
)
def test_expands(template: str, expected: str) -> None:
    assert expand(template, LABELS, 0.75) == expected


@pytest.mark.parametrize(
    "template", ["{{ nope }}", "{{ if true }}x", "{{ humanize $labels.job }}", "{{ $x }}", "{{ }}"]
)
def test_a_faulty_template_says_so(template: str) -> None:
    assert expand(template, LABELS, 1.0).startswith("<error expanding template: ")
