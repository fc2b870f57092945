"""The docs say what is true: every setting, verb and option is documented."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel

from obs.cli.main import app
from obs.config import Config, StoreConfig

ROOT = Path(__file__).parents[2]


def settings(model: type[BaseModel], prefix: str = "") -> list[str]:
    """Every key of the configuration, dotted; a store's keys as `….key`."""
    found: list[str] = []
    for name, field in model.model_fields.items():
        key = f"{prefix}{field.alias or name}"
        inner = field.annotation
        if isinstance(inner, type) and issubclass(inner, StoreConfig):
            own = [f"{key}.{more}" for more in inner.model_fields if more not in StoreConfig.model_fields]
            found += [key, *settings(StoreConfig, "…."), *own]
        elif isinstance(inner, type) and issubclass(inner, BaseModel):
            found += settings(inner, f"{key}.")
        else:
            found.append(key)
    return found


@pytest.mark.parametrize("key", sorted(set(settings(Config))))
def test_every_setting_is_documented(key: str) -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    assert f"`{key}`" in text


def verbs(command: Any, name: str = "obs") -> Iterator[tuple[str, list[str]]]:
    """Every verb with what stands below it, and its long options."""
    yield name, [option for each in command.params for option in each.opts if option.startswith("--")]
    for verb, below in getattr(command, "commands", {}).items():
        yield from verbs(below, f"{name} {verb}")


@pytest.mark.parametrize(("verb", "options"), list(verbs(typer.main.get_command(app))), ids=str)
def test_every_verb_and_option_is_documented(verb: str, options: list[str]) -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    assert f"`{verb}" in text or verb == "obs"
    assert [option for option in options if option not in text] == []


ENVIRONMENT = re.compile(r"(?:environ\.get\(|getenv\(|envvar=)\"(\w+)\"|environ\[\"(\w+)\"\](?! = )|\$\{(\w+):-")
SHELLS_OWN = {"APT_UPDATED"}


def test_every_variable_of_the_environment_is_documented() -> None:
    """Those that users set, and those that tests read."""
    texts = "".join(path.read_text() for path in [ROOT / "CONTRIBUTING.md", ROOT / "docs" / "configuration.md"])
    read = {ROOT / "dev", *(path for root in ("obs", "agent", "tests") for path in (ROOT / root).rglob("*.py"))}
    found = (names for path in read for names in ENVIRONMENT.findall(path.read_text()))
    names = {name for each in found for name in each if name} - SHELLS_OWN
    assert len(names) > 8
    assert sorted(name for name in names if f"`{name}" not in texts and f" {name}=" not in texts) == []


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target
