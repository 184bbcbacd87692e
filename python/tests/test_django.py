"""The Django app: the heartbeat, the checks, and the command, in projects that `django-admin startproject` made."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from conftest import HEROKU, REPO, Project, clean

ASK = """
from django.test import Client
from django.urls import reverse

for path in [reverse("autoscalebot:heartbeat"), *{paths!r}]:
    answer = Client().get(path)
    head = answer.headers
    print(path, answer.status_code, head["Content-Type"], "|", head["Cache-Control"], "|", answer.content.decode())
"""


def ask(project: Project, *paths: str) -> list[str]:
    return project.manage("shell", "-c", ASK.format(paths=paths)).stdout.strip().splitlines()[-1 - len(paths) :]


def test_the_heartbeat_beats_at_every_old_address(project: Project) -> None:
    for line in ask(project, "/autoscalebot/heartbeat/v1", "/autoscalebot/heartbeat", "/heartbeat"):
        assert " 200 text/plain; charset=utf-8 | " in line and "no-store" in line and line.endswith("| Beat"), line
    assert ask(project)[0].startswith("/autoscalebot/heartbeat/ ")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ('DATABASES["default"]["NAME"] = "/nowhere/db.sqlite3"', "database failed: OperationalError"),
        (
            'DATABASES["default"].update(NAME="/nowhere/db.sqlite3", ATOMIC_REQUESTS=True)',
            "database failed: OperationalError",
        ),
        (
            'CACHES = {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "/proc/x"'
            "}}",
            "cache failed: ",
        ),
        ('import tempfile; tempfile.tempdir = "/nowhere"', "disk failed: FileNotFoundError"),
        ('AUTOSCALE_HEARTBEAT_PARTS = ["shop.parts.search"]', "shop.parts.search failed: ConnectionError"),
        ('AUTOSCALE_HEARTBEAT_PARTS = ["nowhere.at_all"]', "nowhere.at_all failed: ModuleNotFoundError"),
    ],
)
def test_the_part_that_failed_is_named_and_its_error_is_not(project: Project, settings: str, told: str) -> None:
    project.settings(settings)
    project.write("shop/parts.py", 'def search():\n    raise ConnectionError("postgres://user:secret@host")\n')
    (line,) = ask(project)
    assert " 503 text/plain" in line and "no-store" in line and told in line and "secret" not in line, line


def test_only_the_parts_that_a_setting_names_are_touched(project: Project) -> None:
    project.settings('DATABASES["default"]["NAME"] = "/nowhere/db.sqlite3"\nAUTOSCALE_HEARTBEAT_PARTS = ["disk"]\n')
    assert ask(project)[0].endswith("| Beat")
    project.settings('CACHES = {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}}')
    project.settings('AUTOSCALE_HEARTBEAT_PARTS = ["cache"]')
    assert ask(project)[0].endswith("| Beat"), "a cache that is switched off has nothing to fail"


def test_a_site_behind_a_login_has_an_open_heartbeat(project: Project) -> None:
    project.settings('MIDDLEWARE += ["django.contrib.auth.middleware.LoginRequiredMiddleware"]')
    assert " 200 " in ask(project)[0]


def test_a_project_without_settings_has_nothing_to_check(project: Project) -> None:
    ran = project.manage("check", "--fail-level", "WARNING")
    assert "no issues" in ran.stdout + ran.stderr


def test_good_settings_are_good(project: Project) -> None:
    project.settings(HEROKU)
    project.manage("check", "--fail-level", "WARNING")


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ("AUTOSCALE_MIN_DYNOS = -1", ["(autoscalebot.E001) AUTOSCALE_MIN_DYNOS: is -1, but must be"]),
        (
            "AUTOSCALE_MIN_DYNO = 1",
            ["(autoscalebot.E001) AUTOSCALE_MIN_DYNO: is not a setting", "HINT: Did you mean AUTOSCALE_MIN_DYNOS?"],
        ),
        ("AUTOSCALE_MIN_DYNOS = 4\nAUTOSCALE_MAX_DYNOS = 2", ["AUTOSCALE_MIN_DYNOS", "HINT: "]),
        ('AUTOSCALE_MAX_DYNOS = {"25:00": 2}', ["AUTOSCALE_MAX_DYNOS"]),
        ("AUTOSCALE_MAX_DYNOS = b'3'", ["(autoscalebot.E002) AUTOSCALE_MAX_DYNOS is a bytes", "HINT: Give text"]),
        (
            'AUTOSCALE_HEARTBEAT_PARTS = ["databse"]',
            ["(autoscalebot.E003)", "HINT: Name some of database, cache, disk"],
        ),
        ('AUTOSCALE_HEARTBEAT_PARTS = "disk"', ["(autoscalebot.E003)", "must be a list"]),
        ('AUTOSCALE_NOTIFICATION_BACKENDS = ["Pager"]', ["AUTOSCALE_NOTIFICATION_BACKENDS", "dotted path"]),
        ('AUTOSCALE_PLATFORM = "nowhere"', ["AUTOSCALE_PLATFORM"]),
        (
            'AUTOSCALE_SITE_URL = "shop.example"',
            ["(autoscalebot.E002) AUTOSCALE_SITE_URL is no address", "HINT: Write"],
        ),
    ],
)
def test_a_bad_setting_is_told_with_its_hint(project: Project, settings: str, told: list[str]) -> None:
    project.settings(HEROKU + settings)
    said = project.manage("check", code=1).stderr
    for part in told:
        assert part in said, said
    assert "EXAMPLE-KEY" not in said


def test_all_bad_settings_are_told_at_once(project: Project) -> None:
    project.settings(HEROKU + "AUTOSCALE_MIN_DYNOS = -1\nAUTOSCALE_INCREMENT = 'two'\nAUTOSCALE_SITE_URL = ''\n")
    project.settings("ALLOWED_HOSTS = ['*']")
    said = project.manage("check", code=1).stderr
    for part in ("AUTOSCALE_MIN_DYNOS", "AUTOSCALE_INCREMENT", "AUTOSCALE_HEARTBEAT_URL", "add AUTOSCALE_SITE_URL"):
        assert part.lower() in said.lower(), said


def test_mail_to_nobody_is_told_before_it_is_lost(project: Project) -> None:
    mail = "AUTOSCALE_NOTIFICATION_BACKENDS = ['autoscalebot.backends.notification.DjangoEmailBackend']\n"
    project.settings(HEROKU + mail)
    assert "(autoscalebot.W004)" in project.manage("check").stderr


def test_a_secret_that_this_machine_does_not_have_stops_no_other_command(project: Project) -> None:
    project.settings(HEROKU + 'import os\nAUTOSCALE_HEROKU_API_KEY = os.environ.get("HEROKU_API_KEY")\n')
    assert "(autoscalebot.W003) AUTOSCALE_HEROKU_API_KEY" in project.manage("migrate").stderr
    project.manage("run_autoscalebot", "--check", code=2)


OLD_URLS = {
    "defaults": """
        from django.conf.urls.defaults import patterns, include, url
        urlpatterns = patterns('',
            url(r'^', include('autoscalebot.urls', app_name="autoscalebot", namespace="autoscalebot"), ),
        )
    """,
    "app_name": """
        from django.urls import include, re_path
        urlpatterns = [
            re_path(r'^', include('autoscalebot.urls', app_name="autoscalebot", namespace="autoscalebot")),
        ]
    """,
    "patterns": """
        from django.conf.urls import patterns, include, url
        urlpatterns = patterns('', url(r'^', include('autoscalebot.urls', namespace="autoscalebot")))
    """,
}


@pytest.mark.parametrize("form", OLD_URLS)
def test_the_urlconf_of_2_1_is_answered_with_the_line_to_write_today(project: Project, form: str) -> None:
    project.write("shop/urls.py", OLD_URLS[form])
    said = project.manage("check", code=1).stderr
    assert 'path("", include("autoscalebot.urls", namespace="autoscalebot"))' in said, said
    assert "urls.py:" in said


#: The example of 2.1's documentation, word for word.
EXAMPLE_OF_2_1 = """
AUTOSCALE_HEROKU_APP_NAME = "my-app-name"
AUTOSCALE_HEROKU_API_KEY = "1234567890abcdef1234567890abcdef"
AUTOSCALE_MAX_DYNOS = {
    "0:00": 2,
    "9:00": 5,
    "17:00": 2
}
AUTOSCALE_MIN_DYNOS = {
    "0:00": 1,
    "8:00": 3,
    "18:00": 1
}
TIME_ZONE = 'America/Vancouver'
AUTOSCALE_NOTIFICATION_BACKENDS = [
    'autoscalebot.backends.notification.DjangoEmailBackend',
    'autoscalebot.backends.notification.ConsoleBackend',
]
INSTALLED_APPS = tuple(INSTALLED_APPS)[:-1]
INSTALLED_APPS += ("autoscalebot",)
ALLOWED_HOSTS = ["my-app-name.herokuapp.com"]
"""


def test_the_example_of_2_1_shows_what_is_wrong_with_it(project: Project) -> None:
    """Between 8:00 and 9:00 and from 17:00 to 18:00 the README's minimum of 3 is above its maximum of 2."""
    project.settings(EXAMPLE_OF_2_1)
    said = project.manage("check", code=1).stderr
    assert "AUTOSCALE_MIN_DYNOS" in said and "8:00" in said, said


def test_each_part_of_the_example_of_2_1_works_unchanged(project: Project) -> None:
    project.settings(EXAMPLE_OF_2_1)
    project.settings('AUTOSCALE_MIN_DYNOS = 2\nADMINS = [("Ann", "ann@shop.example")]\n')
    assert "the settings are good" in project.manage("run_autoscalebot", "--check").stdout
    project.settings('AUTOSCALE_MIN_DYNOS = {"0:00": 1, "8:00": 3, "18:00": 1}\nAUTOSCALE_MAX_DYNOS = 5\n')
    assert "the settings are good" in project.manage("run_autoscalebot", "--check").stdout


def test_what_python_computed_arrives_and_a_host_is_found(project: Project, tmp_path: Path) -> None:
    project.settings(
        HEROKU
        + """
        import decimal
        from django.utils.functional import SimpleLazyObject
        from django.utils.translation import gettext_lazy
        del AUTOSCALE_SITE_URL
        ALLOWED_HOSTS = ["*", ".shop.example", "www.shop.example"]
        AUTOSCALE_HEARTBEAT_URL = gettext_lazy("/beat/")
        AUTOSCALE_MAX_RESPONSE_TIME_IN_MS = decimal.Decimal("1000")
        AUTOSCALE_MAX_DYNOS = {f"{hour}:00": hour + 1 for hour in range(24)}
        AUTOSCALE_NOTIFICATION_BACKENDS = ("shop.notify.Pager",)
        """.replace("\n        ", "\n")
    )
    told = project.manage("shell", "-c", "from autoscalebot import conf; print('json', conf.document())").stdout
    document = json.loads(told.split("json ", 1)[1])
    assert document["AUTOSCALE_HEARTBEAT_URL"] == "https://www.shop.example/beat/"
    assert document["AUTOSCALE_MAX_DYNOS"]["23:00"] == 24
    assert document["TIME_ZONE"] == "UTC" and document["source"] == "shop.settings"
    project.manage("run_autoscalebot", "--check")


def test_no_host_known_is_an_error_that_names_the_setting(project: Project) -> None:
    project.settings(HEROKU + "del AUTOSCALE_SITE_URL\nALLOWED_HOSTS = ['*']\n")
    said = project.manage("run_autoscalebot", "--once", code=2).stderr
    assert "AUTOSCALE_HEARTBEAT_URL" in said and 'add AUTOSCALE_SITE_URL = "https://shop.example"' in said


def test_the_site_of_the_local_platform_is_its_proxy(project: Project) -> None:
    project.settings('AUTOSCALE_PLATFORM = {"type": "local", "listen": "0.0.0.0:8080"}\n')
    told = project.manage("shell", "-c", "from autoscalebot import conf; print('json', conf.document())").stdout
    document = json.loads(told.split("json ", 1)[1])
    assert document["AUTOSCALE_HEARTBEAT_URL"] == "http://127.0.0.1:8080/autoscalebot/heartbeat/"
    project.settings('AUTOSCALE_PLATFORM = {"type": "local", "listen": "127.0.0.1:0"}\n')
    assert 'give "listen" a port' in project.manage("run_autoscalebot", "--check", code=2).stderr


def test_the_settings_are_neither_on_the_disk_nor_in_the_process_list(project: Project) -> None:
    """And a document larger than any pipe gets through."""
    project.settings(HEROKU + "AUTOSCALE_LARGE = 'x' * 300_000\n")
    project.settings(
        """
        import subprocess
        AUTOSCALE_MIN_DYNOS = 0
        """
    )
    project.write(
        "look.py",
        f"""
        import os, sys
        sys.path.insert(0, {str(project.folder)!r})
        os.environ["DJANGO_SETTINGS_MODULE"] = "shop.settings"
        import django; django.setup()
        from autoscalebot import conf, launch
        seen = []
        os.execve = lambda *arguments: seen.append(arguments)
        launch.become(["check"], conf.document())
        program, arguments, environment = seen[0]
        told = sys.stdin.buffer.read()
        assert b"EXAMPLE-KEY" in told and len(told) > 300_000
        assert "EXAMPLE-KEY" not in str(arguments) + str(environment), (arguments, environment)
        print("well")
        """,
    )
    before = set(project.folder.rglob("*"))
    from conftest import run

    assert run(project.venv.python, project.folder / "look.py").stdout.strip() == "well"
    project.manage("run_autoscalebot", "--check", cwd=project.folder)
    after = {path for path in project.folder.rglob("*") if "__pycache__" not in str(path)}
    assert after <= before, after - before


def test_the_exit_code_is_the_programs(project: Project) -> None:
    project.settings(HEROKU + "AUTOSCALE_MIN_DYNOS = -1\n")
    said = project.manage("run_autoscalebot", "--dry-run", code=2).stderr
    assert "shop.settings: AUTOSCALE_MIN_DYNOS: " in said


def test_it_starts_from_any_folder(project: Project) -> None:
    project.settings(HEROKU + 'AUTOSCALE_NOTIFICATION_BACKENDS = ["shop.notify.Pager"]\n')
    project.write("shop/notify.py", "from autoscalebot.backends.notification import TestBackend as Pager\n")
    environment = {**clean(), "AUTOSCALEBOT_LOG": "error"}
    ran = project.manage("run_autoscalebot", "--check", "--online", code=1, cwd=os.sep, env=environment, timeout=120)
    assert "shop.notify.Pager can be made" in ran.stdout, ran.stdout + ran.stderr


def test_the_guide_knows_every_setting() -> None:
    page = (REPO / "docs" / "upgrading.md").read_text()
    known = (REPO / "crates" / "settings" / "src" / "legacy" / "names.rs").read_text()
    names = [part.split('"')[1] for part in known.split("    setting(")[1:]]
    assert len(names) > 19
    for name in names:
        assert f"`{name}`" in page, f"docs/upgrading.md does not tell of {name}"
