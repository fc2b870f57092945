"""Which rules `/api/v1/rules` is asked for, and which page of their groups.

Source: https://prometheus.io/docs/prometheus/latest/querying/api/#rules
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

from obs.alertmanager.inhibit import matches
from obs.alertmanager.rules.evaluation import GroupState
from obs.alertmanager.rules.model import Rule
from obs.errors import QueryError
from obs.model.labels import Matcher

KINDS = {"": "", "alert": "alerting", "record": "recording"}
TRUTHS = {word: truth for truth in (True, False) for word in (str(truth), str(truth).lower(), str(truth).upper())}
TRUTHS |= {"1": True, "t": True, "T": True, "0": False, "f": False, "F": False}
"""What Go's strconv.ParseBool reads."""

Selecting = Callable[[str], Sequence[Matcher]]
Parameters = Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True)
class Asked:
    """The parameters of a request; what is empty asks for all."""

    kind: str
    names: Sequence[str]
    groups: Sequence[str]
    files: Sequence[str]
    selectors: Sequence[Sequence[Matcher]]
    brief: bool  # without alerts
    limit: int  # 0: all groups
    token: str

    @property
    def of_rules(self) -> bool:
        """Whether groups of which no rule is left are left out."""
        return bool(self.kind or self.names or self.selectors)

    def wants_group(self, state: GroupState) -> bool:
        """By name and file."""
        group = state.group
        return (not self.groups or group.name in self.groups) and (not self.files or group.file in self.files)

    def wants(self, rule: Rule) -> bool:
        """By name, type and labels as they are written."""
        kind = "alerting" if rule.alert else "recording"
        return (
            (not self.names or rule.name in self.names)
            and self.kind in ("", kind)
            and (not self.selectors or any(matches(each, dict(rule.labels)) for each in self.selectors))
        )


def read(given: Parameters, selecting: Selecting) -> Asked:
    """Read the parameters. Raises: QueryError."""
    one = {name: (given.get(name) or [""])[0] for name in ("type", "exclude_alerts", "group_limit", "group_next_token")}
    kind = KINDS.get(one["type"].lower())
    if kind is None:
        raise _bad("type", f"not supported value {one['type']!r}; known: alert, record")
    if one["exclude_alerts"] and one["exclude_alerts"] not in TRUTHS:
        raise _bad("exclude_alerts", f"cannot read {one['exclude_alerts']!r}: it is true or false")
    return Asked(
        kind,
        given.get("rule_name[]", ()),
        given.get("rule_group[]", ()),
        given.get("file[]", ()),
        [selecting(text) for text in given.get("match[]", ())],
        TRUTHS.get(one["exclude_alerts"], False),
        _limit(one["group_limit"], one["group_next_token"]),
        one["group_next_token"],
    )


def _limit(text: str, token: str) -> int:
    if not text:
        if token:
            raise _bad("group_next_token", "group_limit needs to be present in order to paginate over the groups")
        return 0
    digits = text.lstrip("+-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10 and len(text) - len(digits) < 2):
        raise _bad("group_limit", f"group_limit needs to be a valid number, not {text!r}")
    if int(text) <= 0:
        raise _bad("group_limit", "group_limit needs to be greater than 0")
    return int(text)


def page(states: Sequence[GroupState], asked: Asked) -> tuple[Sequence[GroupState], str]:
    """The groups of the page, and the token of the next one; empty on the last. Raises: QueryError."""
    tokens = [_token(state) for state in states]
    if asked.token and asked.token not in tokens:
        raise _bad("group_next_token", f"invalid group_next_token {asked.token!r}; were the rule groups changed?")
    start = tokens.index(asked.token) if asked.token else 0
    stop = start + asked.limit if asked.limit else len(states)
    return states[start:stop], tokens[stop] if stop < len(tokens) else ""


def _token(state: GroupState) -> str:
    return blake2b(state.group.key.encode(), digest_size=20).hexdigest()


def _bad(name: str, cause: str) -> QueryError:
    return QueryError(f'invalid parameter "{name}": {cause}')
