"""Rule files by glob, read and checked whole before any of them is used."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from pathlib import Path

import yaml

from obs.alertmanager.rules.model import DEFAULTS, GroupDefaults, RuleGroup, parse_groups
from obs.alertmanager.template.functions import GIVEN, NAMES
from obs.errors import ConfigError, QueryError
from obs.gotemplate.lexer import TemplateError
from obs.gotemplate.parser import parse

CheckQuery = Callable[[str, str], None]
"""(language, query): raises QueryError where the query does not parse."""


def load_groups(patterns: Sequence[str], check: CheckQuery, defaults: GroupDefaults = DEFAULTS) -> list[RuleGroup]:
    """Every group of every file that a pattern names. Raises: ConfigError naming file and key."""
    groups: list[RuleGroup] = []
    for pattern in patterns:
        files = sorted(glob.glob(pattern, recursive=True))
        if not files and not glob.has_magic(pattern):
            raise ConfigError(f"rule_files: cannot read {pattern!r}: no such file; correct the path")
        for file in files:
            groups += _load(file, check, defaults)
    return groups


def _load(file: str, check: CheckQuery, defaults: GroupDefaults) -> list[RuleGroup]:
    try:
        document = yaml.safe_load(Path(file).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as e:
        raise ConfigError(f"rule_files: cannot read {file!r}: {e}") from None
    groups = parse_groups(document, file, defaults)
    for group in groups:
        for rule in group.rules:
            try:
                check(group.language, rule.expr)
            except QueryError as e:
                raise ConfigError(f"{group.name}.{rule.name}.expr: cannot use query in {file!r}: {e}") from None
            for name, template in (*rule.labels, *rule.annotations):
                try:
                    parse(template, NAMES, GIVEN)
                except TemplateError as e:
                    where = f"{group.name}.{rule.name}.{name}"
                    raise ConfigError(f"{where}: cannot use template {template!r} in {file!r}: {e}") from None
    return groups
