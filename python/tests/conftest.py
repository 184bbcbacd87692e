"""What the tests stand on: the wheel, built once; clean environments that it is installed in; and real Django projects."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable

import pytest

REPO = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR") or REPO / "target").resolve()

#: `release` is what is shipped; `dev` shares the build of `cargo test`.
PROFILE = os.environ.get("AUTOSCALEBOT_WHEEL_PROFILE", "release")

#: A lazy machine, not a limit of anything under test.
PATIENCE_SECS = 60

HEROKU = """
AUTOSCALE_HEROKU_APP_NAME = "dancing-forest-1234"
AUTOSCALE_HEROKU_API_KEY = "0f1e2d3c-EXAMPLE-KEY"
AUTOSCALE_SITE_URL = "https://shop.example"
"""


def clean() -> dict[str, str]:
    """Return an environment in which nothing of this repository, its settings or its tests is found."""
    dropped = ("AUTOSCALE", "PYTHON", "DJANGO", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if not name.startswith(dropped)}


def run(*command: str | Path, code: int | None = 0, **options: Any) -> subprocess.CompletedProcess[str]:
    options.setdefault("env", clean())
    options.setdefault("timeout", PATIENCE_SECS)
    ran = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if code is not None:
        assert ran.returncode == code, f"{command} ended with {ran.returncode}:\n{ran.stdout}\n{ran.stderr}"
    return ran


def wait_for(what: Callable[[], Any], why: str, secs: float = PATIENCE_SECS) -> Any:
    until = time.monotonic() + secs
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {secs:.0f} s: {why}")


_ports = itertools.count(os.getpid() * 97)


def free_port() -> int:
    """Give one below those of clients: a connection tried before its server is there could else meet itself."""
    for number in itertools.islice(_ports, 10_000):
        port = 12_000 + number % 10_000
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as `pip install .` does."""
    folder = tmp_path_factory.mktemp("wheel")
    here = str(Path(sys.executable).parent)
    environment = {**os.environ, "CARGO_TARGET_DIR": str(TARGET), "PATH": f"{here}{os.pathsep}{os.environ['PATH']}"}
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", folder]
    run(*pip, "--config-settings", f"build-args=--profile={PROFILE}", REPO, env=environment, timeout=1800)
    (built,) = folder.glob("*.whl")
    return built


@dataclass
class Venv:
    """A virtual environment with the wheel and what else a test wants in it."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def program(self) -> Path:
        return self.folder / "bin" / "autoscalebot"

    def code(self, text: str, **options: Any) -> str:
        return run(self.python, "-c", textwrap.dedent(text), **options).stdout


def make_venv(folder: Path, python: str, *packages: str | Path) -> Venv:
    run(python, "-m", "venv", folder)
    venv = Venv(folder)
    pip = [venv.python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run(*pip, *packages, timeout=300)
    return venv


@pytest.fixture(scope="session")
def bare(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Venv:
    """Nothing but the wheel."""
    return make_venv(tmp_path_factory.mktemp("bare") / "venv", sys.executable, wheel)


def pythons() -> dict[str, str]:
    """Return the Pythons of this machine by their versions, this one included."""
    found = {f"{sys.version_info[0]}.{sys.version_info[1]}": sys.executable}
    names = [shutil.which(f"python3.{minor}") for minor in range(9, 20)]
    names += [str(path) for path in Path.home().glob(".pyenv/versions/3.*/bin/python3")]
    for name in filter(None, names):
        # A shim may stand for a Python that is not switched on here.
        asked = run(name, "-c", "import sys, ssl, venv; print('%d.%d' % sys.version_info[:2])", code=None)
        if asked.returncode == 0:
            found.setdefault(asked.stdout.strip(), name)
    return found


def newest(found: dict[str, str]) -> str:
    return found[max(found, key=lambda version: tuple(map(int, version.split("."))))]


#: The oldest Django that is still supported, on this Python; and the newest that the newest Python here takes.
DJANGOS = {"oldest": (sys.executable, "django>=5.2,<5.3"), "newest": (newest(pythons()), "django")}


@pytest.fixture(scope="session", params=DJANGOS)
def django(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Venv:
    python, requirement = DJANGOS[request.param]
    return make_venv(
        tmp_path_factory.mktemp(f"django-{request.param}") / "venv", python, wheel, requirement, "gunicorn"
    )


@dataclass
class Project:
    """A Django project as `django-admin startproject` makes it."""

    venv: Venv
    folder: Path
    started: list[subprocess.Popen[str]] = field(default_factory=list)

    def write(self, path: str, text: str) -> None:
        (self.folder / path).write_text(textwrap.dedent(text), encoding="utf-8")

    def settings(self, text: str) -> None:
        with (self.folder / "shop" / "settings.py").open("a", encoding="utf-8") as file:
            file.write("\n" + textwrap.dedent(text))

    def manage(self, *arguments: str, code: int | None = 0, **options: Any) -> subprocess.CompletedProcess[str]:
        options.setdefault("cwd", self.folder)
        return run(self.venv.python, self.folder / "manage.py", *arguments, code=code, **options)

    def start(self, *command: str | Path, log: str, **options: Any) -> subprocess.Popen[str]:
        options.setdefault("env", clean())
        options.setdefault("cwd", self.folder)
        with (self.folder / log).open("w") as out:
            process = subprocess.Popen([str(part) for part in command], stdout=out, stderr=out, text=True, **options)
        self.started.append(process)
        return process

    def stop(self) -> None:
        for process in self.started:
            if process.poll() is None:
                process.terminate()
                process.wait(PATIENCE_SECS)


@pytest.fixture
def project(django: Venv, tmp_path: Path) -> Iterator[Project]:
    """Make a project with the app and its heartbeat in it."""
    run(django.folder / "bin" / "django-admin", "startproject", "shop", tmp_path)
    project = Project(django, tmp_path)
    project.settings('INSTALLED_APPS += ["autoscalebot"]\nALLOWED_HOSTS = ["127.0.0.1", "testserver"]\n')
    project.write(
        "shop/urls.py",
        """
        from django.urls import include, path

        urlpatterns = []
        urlpatterns += [path("", include("autoscalebot.urls", namespace="autoscalebot"))]
        """,
    )
    yield project
    project.stop()
