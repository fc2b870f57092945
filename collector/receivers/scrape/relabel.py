"""Relabeling: rules that rewrite, keep or drop a set of labels. Pure.

Source: https://prometheus.io/docs/prometheus/latest/configuration/configuration/#relabel_config
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import md5
from typing import Any

Pairs = dict[str, str]
_REFERENCE = re.compile(r"\$(?:(\d+|[A-Za-z_]\w*)|\{(\w+)\}|(\$))", re.ASCII)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; regexes match whole values."""

    action: str
    source: tuple[str, ...]
    separator: str
    regex: Any
    modulus: int
    target: str
    replacement: str


def relabel(labels: Pairs, rules: Iterable[Rule]) -> Pairs | None:
    """The labels after all rules, or None where one drops them. `labels` may be changed."""
    for rule in rules:
        kept = ACTIONS[rule.action](labels, rule)
        if kept is None:
            return None
        labels = kept
    return labels


def _value(labels: Pairs, rule: Rule) -> str:
    return rule.separator.join(labels.get(name, "") for name in rule.source)


def _set(labels: Pairs, name: str, value: str) -> Pairs:
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)
    return labels


def _replace(labels: Pairs, rule: Rule) -> Pairs:
    found = rule.regex.fullmatch(_value(labels, rule))
    if found is None:
        return labels
    name = expand(rule.target, found)
    return _set(labels, name, expand(rule.replacement, found)) if name else labels


def _keep(labels: Pairs, rule: Rule) -> Pairs | None:
    return labels if rule.regex.fullmatch(_value(labels, rule)) else None


def _drop(labels: Pairs, rule: Rule) -> Pairs | None:
    return None if rule.regex.fullmatch(_value(labels, rule)) else labels


def _keep_equal(labels: Pairs, rule: Rule) -> Pairs | None:
    return labels if _value(labels, rule) == labels.get(rule.target, "") else None


def _drop_equal(labels: Pairs, rule: Rule) -> Pairs | None:
    return None if _value(labels, rule) == labels.get(rule.target, "") else labels


def _hash_mod(labels: Pairs, rule: Rule) -> Pairs:
    digest = md5(_value(labels, rule).encode(), usedforsecurity=False).digest()
    return _set(labels, rule.target, str(int.from_bytes(digest[8:], "big") % rule.modulus))


def _label_map(labels: Pairs, rule: Rule) -> Pairs:
    found = [(rule.regex.fullmatch(name), value) for name, value in labels.items()]
    for match, value in found:
        if match is not None:
            labels[expand(rule.replacement, match)] = value
    return labels


def _label_drop(labels: Pairs, rule: Rule) -> Pairs:
    return {name: value for name, value in labels.items() if not rule.regex.fullmatch(name)}


def _label_keep(labels: Pairs, rule: Rule) -> Pairs:
    return {name: value for name, value in labels.items() if rule.regex.fullmatch(name)}


def _cased(change: Callable[[str], str]) -> Callable[[Pairs, Rule], Pairs]:
    return lambda labels, rule: _set(labels, rule.target, change(_value(labels, rule)))


def expand(template: str, found: re.Match[str]) -> str:
    """A template with `$1`, `${1}` or `${name}` filled in; a group that is not there is empty."""

    def filled(reference: re.Match[str]) -> str:
        name = reference[1] or reference[2]
        if name is None:
            return "$"
        try:
            return found[int(name) if name.isdigit() else name] or ""
        except (IndexError, KeyError):
            return ""

    return _REFERENCE.sub(filled, template)


ACTIONS: dict[str, Callable[[Pairs, Rule], Pairs | None]] = {
    "replace": _replace,
    "keep": _keep,
    "drop": _drop,
    "keepequal": _keep_equal,
    "dropequal": _drop_equal,
    "hashmod": _hash_mod,
    "labelmap": _label_map,
    "labeldrop": _label_drop,
    "labelkeep": _label_keep,
    "lowercase": _cased(str.lower),
    "uppercase": _cased(str.upper),
}


def relabeled(pairs: Iterable[tuple[str, str]], rules: Sequence[Rule]) -> Pairs | None:
    """`relabel` on a copy."""
    return relabel(dict(pairs), rules)
