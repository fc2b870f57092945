"""The docs say what is true: every setting, verb and option is documented."""

import re
from pathlib import Path

import click
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


def test_every_verb_is_documented() -> None:
    text = (ROOT / "docs" / "cli.md").read_text()
    group = typer.main.get_command(app)
    assert isinstance(group, click.Group) or hasattr(group, "commands")
    for verb in group.commands:  # type: ignore[attr-defined]
        assert f"`obs {verb}" in text


@pytest.mark.parametrize("document", sorted(ROOT.glob("*.md")) + sorted((ROOT / "docs").rglob("*.md")), ids=str)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target
