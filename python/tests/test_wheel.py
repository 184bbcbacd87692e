"""The wheel: what is in it, and what it gives once it is installed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from conftest import REPO, Venv, pythons, run


def test_one_wheel_for_every_python(wheel: Path) -> None:
    assert wheel.name.startswith("autoscalebot-3.") and "-py3-none-" in wheel.name
    with zipfile.ZipFile(wheel) as file:
        names = file.namelist()
        (metadata,) = [name for name in names if name.endswith(".dist-info/METADATA")]
        told = Parser().parsestr(file.read(metadata).decode())
    assert "autoscalebot/py.typed" in names
    assert any(name.endswith(".data/scripts/autoscalebot") for name in names)
    assert not [name for name in names if "test" in Path(name).name and not name.endswith("notification/test.py")]
    assert told["License-Expression"] == "BSD-2-Clause"
    assert told["Requires-Python"] == ">=3.9"
    assert told["Requires-Dist"] is None, "the wheel stands alone"
    assert told.get_payload().startswith("# autoscalebot")


def test_twine_is_content(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "twine", "check", "--strict", wheel)


def test_the_source_distribution_is_whole(tmp_path: Path) -> None:
    """Every file that a crate takes in from outside of the crates is there, and so are license and text."""
    run(sys.executable, "-m", "maturin", "sdist", "-o", tmp_path, cwd=REPO)
    (sdist,) = tmp_path.glob("*.tar.gz")
    run(sys.executable, "-m", "twine", "check", "--strict", sdist)
    with tarfile.open(sdist) as file:
        names = {name.partition("/")[2] for name in file.getnames()}
        sources = [member for member in file.getmembers() if re.search(r"/src/.*(?<!_tests)\.rs$", member.name)]
        assert len(sources) > 50
        for member in sources:
            text = file.extractfile(member).read().decode()  # type: ignore[union-attr]
            for taken in re.findall(r'include_(?:str|bytes)!\("((?:\.\./)+[^"]+)"\)', text):
                path = os.path.normpath(Path(member.name.partition("/")[2]).parent / taken)
                assert path in names, f"{member.name} takes in {path}: name it in pyproject.toml"
    assert {"LICENSE", "pyproject.toml", "python/README.md", "python/autoscalebot/py.typed"} <= names


def test_the_command_and_the_module_are_one_program(bare: Venv) -> None:
    told = run(bare.program, "--version").stdout
    assert told.startswith("autoscalebot 3.")
    assert run(bare.python, "-m", "autoscalebot", "--version").stdout == told
    assert run(bare.python, "-m", "autoscalebot", "nonsense", code=2).stderr
    found = bare.code("import autoscalebot; print(autoscalebot.find_autoscalebot_bin(), autoscalebot.version)").split()
    assert Path(found[0]).resolve() == bare.program.resolve() and found[1].startswith("3.")


def test_a_program_that_is_gone_is_named(wheel: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", tmp_path, wheel)
    find = [sys.executable, "-S", "-c", "import autoscalebot; print(autoscalebot.find_autoscalebot_bin())"]
    there = run(*find, cwd=tmp_path).stdout.strip()
    assert there == str(tmp_path / "bin" / "autoscalebot")
    Path(there).unlink()
    assert "pip install --force-reinstall autoscalebot" in run(*find, cwd=tmp_path, code=1).stderr


@pytest.mark.parametrize("version", sorted(pythons()))
def test_every_module_is_imported_by_every_python_here(wheel: Path, version: str, tmp_path: Path) -> None:
    """Modules that need Django are with the other tests; the others need nothing."""
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path)
    if tuple(map(int, version.split("."))) < (3, 9):
        return
    names = "autoscalebot, autoscalebot.wsgi, autoscalebot.asgi, autoscalebot.child, autoscalebot.module_settings"
    run(pythons()[version], "-c", f"import {names}, autoscalebot.backends.notification", cwd=tmp_path)


def test_types_are_there_for_who_checks_them(bare: Venv, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from autoscalebot.backends.notification import NotificationBackend\n"
        "class Mine(NotificationBackend):\n"
        "    def notify_scaled(self) -> int: return self.autoscaler.num_dynos or 0\n"
        "reveal_type(Mine.notify_scaled)\n"
    )
    checked = run(sys.executable, "-m", "mypy", "--python-executable", bare.python, "mine.py", cwd=tmp_path, code=None)
    assert 'note: Revealed type is "def (self: mine.Mine) -> ' in checked.stdout, checked.stdout
    assert "import-untyped" not in checked.stdout, checked.stdout


@pytest.mark.parametrize("tool", [["ruff", "check"], ["ruff", "format", "--check"], ["mypy"]])
def test_the_source_is_clean(tool: list[str]) -> None:
    arguments = [] if tool == ["mypy"] else ["python"]
    ran = subprocess.run(
        [sys.executable, "-m", *tool, *arguments], cwd=REPO, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr


SETTINGS = """
import json

print("not for the program")
HEROKU_APP_NAME = "my-app-name"
HEROKU_API_KEY = "1234567890abcdef1234567890abcdef"
HEARTBEAT_URL = "https://my-app.example/autoscalebot/heartbeat/"
MAX_DYNOS = json.loads('{"0:00": 2, "9:00": 5}')
"""


def test_a_module_of_settings_is_found_on_the_python_path_and_run_where_that_is_needed(
    bare: Venv, tmp_path: Path
) -> None:
    (tmp_path / "autoscale_settings.py").write_text(SETTINGS)
    plan = run(bare.program, "--settings=autoscale_settings", "plan", "--json", cwd=tmp_path)
    assert '"app":"my-app-name"' in plan.stdout
    assert "autoscale_settings computes its values: it is run with" in plan.stderr
    assert "not for the program" in plan.stderr and "not for the program" not in plan.stdout
    assert "abcdef" not in plan.stdout + plan.stderr

    (site,) = bare.folder.glob("lib/python*/site-packages")
    literal = (
        SETTINGS.replace("import json", "").replace("json.loads(", "(").replace("""('{"0:00": 2, "9:00": 5}')""", "5")
    )
    (site / "settings_of_a_package.py").write_text(literal)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    plan = run(bare.program, "--settings=settings_of_a_package", "plan", "--json", cwd=elsewhere)
    assert '"app":"my-app-name"' in plan.stdout and "is not in this folder: it is run with" in plan.stderr
    missing = run(bare.program, "--settings=no.such_module", "check", cwd=elsewhere, code=2)
    assert "there is no module no.such_module on the Python path" in missing.stderr


def test_a_module_of_literals_is_read_and_not_run(bare: Venv, tmp_path: Path) -> None:
    (tmp_path / "autoscale_settings.py").write_text(
        'open("it-ran", "w").close()\nHEROKU_APP_NAME = "a"\nHEROKU_API_KEY = "1234567890"\nHEARTBEAT_URL = "https://a.example/"\n'
    )
    run(bare.program, "--settings=autoscale_settings", "check", cwd=tmp_path)
    assert not (tmp_path / "it-ran").exists()
