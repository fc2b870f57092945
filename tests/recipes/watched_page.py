"""A page in a real browser, and what must not happen on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import BrowserContext, Page


@dataclass(slots=True)
class Watched:
    """A page, and what must not happen on it: console errors, failed answers, requests to anywhere else."""

    page: Page
    base: str
    faults: list[str] = field(default_factory=list)

    def open(self, path: str) -> Page:
        """Go there and wait until every callback has answered."""
        self.page.goto(self.base + path)
        self.page.wait_for_selector("#page > *")
        self.settle()
        return self.page

    def settle(self) -> None:
        """Wait until no callback is under way, and none has been for a moment."""
        self.page.wait_for_function(
            """() => {
                const quiet = !document.body.classList.contains("busy");
                window.quietSince = quiet ? (window.quietSince || performance.now()) : 0;
                return quiet && performance.now() - window.quietSince > 300;
            }"""
        )
        self.page.evaluate("window.quietSince = 0")


def watch(context: BrowserContext, base: str) -> Watched:
    """A page of the context that keeps note of faults."""
    page = context.new_page()
    page.set_default_timeout(20_000)
    watched = Watched(page, base)

    def heard(message: Any) -> None:
        if message.type == "error":
            watched.faults.append(f"console: {message.text}")

    def asked(request: Any) -> None:
        if not request.url.startswith((base, "data:", "blob:")):
            watched.faults.append(f"request to elsewhere: {request.url}")

    page.on("console", heard)
    page.on("pageerror", lambda error: watched.faults.append(f"script: {error}"))
    page.on("request", asked)
    page.on("response", lambda answer: answer.status >= 500 and watched.faults.append(f"{answer.status}: {answer.url}"))
    return watched
