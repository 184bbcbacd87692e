"""The heartbeats for those without Django: the WSGI and ASGI apps, and the code of each page in docs/heartbeats."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server
from wsgiref.validate import validator

import pytest
from conftest import REPO, TARGET, free_port, wait_for

sys.path.insert(0, str(REPO / "python"))

from autoscalebot import wsgi


def blocks(page: str, language: str) -> list[str]:
    text = (REPO / "docs" / "heartbeats" / f"{page}.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def broken() -> None:
    raise ConnectionError("secret@host")


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def served() -> Iterator[Any]:
    servers = []

    def serve(app: Any) -> str:
        server = make_server("127.0.0.1", 0, validator(app), handler_class=Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}/"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def get(url: str, method: str = "GET") -> tuple[int, dict[str, str], str]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=30) as answer:
            return answer.status, dict(answer.headers), answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, dict(error.headers), error.read().decode()


def test_a_wsgi_heartbeat_served_for_real(served: Any) -> None:
    beats: list[int] = []
    status, headers, body = get(served(wsgi.heartbeat_app({"mine": lambda: beats.append(1)})))
    assert (status, body, beats) == (200, "Beat", [1])
    assert headers["Content-Type"].startswith("text/plain") and "no-store" in headers["Cache-Control"]
    assert get(served(wsgi.heartbeat_app()))[2] == "Beat"
    assert get(served(wsgi.heartbeat_app()), "HEAD")[::2] == (200, "")
    assert get(served(wsgi.heartbeat_app({"queue": broken})))[::2] == (503, "queue failed: ConnectionError")


def test_the_page_of_flask_runs() -> None:
    (code,) = blocks("flask", "python")
    names: dict[str, Any] = {"__name__": "shop"}
    exec(code, names)
    client = names["app"].test_client()
    answer = client.get("/heartbeat")
    assert (answer.status_code, answer.text) == (200, "Beat"), answer.text
    names["engine"].connect = broken
    answer = client.get("/heartbeat")
    assert (answer.status_code, answer.text) == (503, "database failed: ConnectionError")


def test_the_page_of_fastapi_runs() -> None:
    import uvicorn

    (code,) = blocks("fastapi", "python")
    names: dict[str, Any] = {"__name__": "shop"}
    exec(code, names)
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(names["app"], port=port, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started, "uvicorn listens")
        status, headers, body = get(f"http://127.0.0.1:{port}/heartbeat/")
        assert (status, body) == (200, "Beat") and "no-store" in headers["cache-control"]
        assert get(f"http://127.0.0.1:{port}/heartbeat/", "HEAD")[::2] == (200, "")
        names["engine"].connect = broken
        answer = get(f"http://127.0.0.1:{port}/heartbeat/")
        assert answer[::2] == (503, "database failed: ConnectionError")
    finally:
        server.should_exit = True
        thread.join(10)


def test_the_page_of_express_runs() -> None:
    node, npm = shutil.which("node"), shutil.which("npm")
    assert node and npm, "Node.js is needed, as for the other tests"
    folder = TARGET / "npm-express"
    if not (folder / "node_modules" / "express").is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [npm, "install", "--prefix", str(folder), "express@5", "--no-audit", "--no-fund", "--loglevel=error"],
            check=True,
            timeout=120,
        )
    (folder / "app.js").write_text(blocks("express", "javascript")[0])
    port = free_port()
    process = subprocess.Popen([node, "app.js"], cwd=folder, env={"PORT": str(port)})
    try:

        def beat() -> Any:
            try:
                return get(f"http://127.0.0.1:{port}/heartbeat")
            except OSError:
                return None

        status, headers, body = wait_for(beat, "Express listens")
        assert (status, body, headers["Cache-Control"]) == (200, "Beat", "no-store")
    finally:
        process.terminate()
        process.wait(10)
