"""Templates expanded: text with {{ actions }} over `$labels`, `$value` and queries → text.

A template that cannot be expanded becomes the error's text, as in Prometheus: an alert must go out all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from obs.alertmanager.template.functions import FUNCTIONS, GIVEN, NAMES
from obs.gotemplate.gotext import Sample
from obs.gotemplate.lexer import TemplateError
from obs.gotemplate.parser import parse
from obs.gotemplate.walk import Element, Function, Walk
from obs.model.ports import VectorSample


@dataclass(frozen=True, slots=True)
class Place:
    """What a template may ask beside its element. `ask`: the instant vector of a query, at the rule's time."""

    ask: Callable[[str], Sequence[VectorSample]]
    external_url: str = ""
    external_labels: Mapping[str, str] = field(default_factory=dict)

    def functions(self) -> Mapping[str, Function]:
        """Those of the place by name."""

        def query(text: str) -> list[Sample]:
            return [Sample(dict(s.labels), s.value) for s in self.ask(text)]

        path = urlsplit(self.external_url).path.rstrip("/")
        return {"query": query, "externalURL": lambda: self.external_url, "pathPrefix": lambda: path}


def expand(template: str, labels: Mapping[str, str], value: float, place: Place) -> str:
    """The template's text for one element of an alert's vector."""
    if "{{" not in template:
        return template
    of_place = {"ExternalLabels": place.external_labels, "ExternalURL": place.external_url}
    dot = Element({"Labels": labels, "Value": value, **of_place})
    given = {"$": dot, "$labels": labels, "$value": value}
    given |= {f"${name[0].lower()}{name[1:]}": found for name, found in of_place.items()}
    try:
        tree = parse(template, NAMES, GIVEN)
        return Walk(tree.defined, {**FUNCTIONS, **place.functions()}, given).text(tree.body, dot)
    except TemplateError as e:
        return f"<error expanding template: {e}>"
