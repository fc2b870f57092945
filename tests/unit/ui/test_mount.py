"""The UI beside an API: what answers what, before and after loading, and that callbacks leave the loop free."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from obs.ui.app import LazyUi, mount
from obs.ui.offload import threaded


def api(app: FastAPI, path: str) -> None:
    """A route that says its path."""

    @app.get(path)
    def say() -> dict[str, str]:
        return {"path": path}


def loaded(app: FastAPI) -> LazyUi:
    """The UI mounted and loaded."""
    ui = mount(app, "http://127.0.0.1:9", start=False)
    ui.start().join()
    assert not ui.failed
    return ui


def test_routes_of_the_api_are_not_shadowed_wherever_they_come() -> None:
    app = FastAPI()
    api(app, "/api/before")
    loaded(app)
    api(app, "/loki/after")
    with TestClient(app) as client:
        assert client.get("/api/before").json() == {"path": "/api/before"}
        assert client.get("/loki/after").json() == {"path": "/loki/after"}
        assert client.get("/unknown").status_code == 404
        assert client.post("/").status_code == 405
        for page in ("/", "/ui", "/ui/", "/ui/metrics", "/ui/traces/abc"):
            answer = client.get(page)
            assert answer.status_code == 200, page
            assert "_dash-config" in answer.text
        assert "/ui" not in str(client.get("/openapi.json").json()["paths"])


def test_it_can_be_mounted_while_the_app_is_served() -> None:
    app = FastAPI()
    api(app, "/api/x")
    with TestClient(app) as client:
        assert client.get("/api/x").status_code == 200
        assert client.get("/").status_code == 404
        loaded(app)
        assert client.get("/").status_code == 200
        assert client.get("/api/x").status_code == 200


def test_everything_a_page_needs_is_served_from_here() -> None:
    app = FastAPI()
    loaded(app)
    with TestClient(app) as client:
        html = client.get("/").text
        sources = [part.split('"')[0] for part in html.split('src="')[1:]]
        styles = [part.split('"')[0] for part in html.split('<link rel="stylesheet" href="')[1:]]
        assert len(sources) > 10
        assert len(styles) >= 3
        for source in [*sources, *styles]:
            assert source.startswith("/ui/"), source
            assert client.get(source).status_code == 200, source
        assert client.get("/ui/_dash-layout").json()["type"] == "MantineProvider"


@pytest.mark.parametrize(("path", "accept"), [("/ui/logs", "*/*"), ("/", "text/html,*/*")])
def test_until_it_is_loaded_a_page_says_so_and_loading_begins(path: str, accept: str) -> None:
    app = FastAPI()
    ui = mount(app, "http://127.0.0.1:9", start=False)
    with TestClient(app) as client:
        answer = client.get(path, headers={"Accept": accept})
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "being prepared" in answer.text
        ui.start().join()
        assert "_dash-config" in client.get("/ui/logs").text


def test_until_it_is_loaded_a_library_sees_that_the_server_is_there() -> None:
    app = FastAPI()
    mount(app, "http://127.0.0.1:9", start=False)
    with TestClient(app) as client:
        answer = client.get("/")
        assert (answer.status_code, "_dash-config" in answer.text) == (200, False)


def test_a_callback_works_in_a_thread_while_the_loop_goes_on() -> None:
    release = threading.Event()

    @threaded
    def work(value: int) -> tuple[int, str]:
        release.wait(10)
        return value, threading.current_thread().name

    async def main() -> Any:
        task = asyncio.create_task(work(7))
        await asyncio.sleep(0)
        release.set()  # reached only because the callback does not hold the loop
        return await task

    value, thread = asyncio.run(main())
    assert value == 7
    assert thread != threading.main_thread().name
