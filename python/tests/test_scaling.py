"""A real Django project under real load: gunicorn behind the local platform, scaled by `manage.py run_autoscalebot`."""

from __future__ import annotations

import re
import signal
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import Message
from email.parser import BytesParser
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from conftest import Project, free_port, run, wait_for


class Postbox:
    """A real SMTP server, and the mails that it took."""

    def __init__(self) -> None:
        self.mails: list[Message] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.mails.append(BytesParser().parsebytes(envelope.content))
        return "250 taken"

    @property
    def subjects(self) -> list[str]:
        return [mail["Subject"] for mail in self.mails]


@pytest.fixture
def postbox() -> Iterator[tuple[Postbox, int]]:
    box, port = Postbox(), free_port()
    controller = Controller(box, hostname="127.0.0.1", port=port)
    controller.start()
    yield box, port
    controller.stop()


class Load:
    """Clients that ask for a slow page, each again as soon as it has its answer."""

    def __init__(self, url: str, clients: int) -> None:
        self.url, self.over = url, threading.Event()
        self.answered = self.failed = 0
        self.threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(clients)]
        for thread in self.threads:
            thread.start()

    def _ask(self) -> None:
        while not self.over.is_set():
            try:
                with urllib.request.urlopen(self.url, timeout=30) as answer:
                    answer.read()
                self.answered += 1
            except (urllib.error.URLError, OSError):
                self.failed += 1

    def stop(self) -> None:
        self.over.set()
        for thread in self.threads:
            thread.join()


SETTINGS = """
AUTOSCALE_PLATFORM = {{
    "type": "local",
    "procfile": BASE_DIR / "Procfile",
    "listen": "127.0.0.1:{port}",
    "formation": {{"web": 1}},
    "stop_grace": "5s",
}}
AUTOSCALE_HEARTBEAT_INTERVAL_IN_SECONDS = 1
AUTOSCALE_MAX_RESPONSE_TIME_IN_MS = 500
AUTOSCALE_MIN_RESPONSE_TIME_IN_MS = 150
AUTOSCALE_NUMBER_OF_FAILS_TO_SCALE_UP_AFTER = 2
AUTOSCALE_NUMBER_OF_PASSES_TO_SCALE_DOWN_AFTER = 3
AUTOSCALE_MAX_DYNOS = 3
AUTOSCALE_NOTIFY_ON_EVERY_SCALE = True
AUTOSCALE_NOTIFICATION_BACKENDS = [
    "autoscalebot.backends.notification.DjangoEmailBackend",
    "shop.notify.Note",
]
import django
if django.VERSION >= (6, 1):
    SMTP = "django.core.mail.backends.smtp.EmailBackend"
    MAILERS = {{"default": {{"BACKEND": SMTP, "OPTIONS": {{"host": "127.0.0.1", "port": {mail}}}}}}}
else:
    EMAIL_HOST, EMAIL_PORT = "127.0.0.1", {mail}
ADMINS = ["ann@shop.example"] if django.VERSION >= (6, 0) else [("Ann", "ann@shop.example")]
"""

URLS = """
import time

from django.http import HttpResponse
from django.urls import include, path


def slow(request):
    time.sleep(0.2)
    return HttpResponse("slow")


urlpatterns = [path("slow/", slow)]
urlpatterns += [path("", include("autoscalebot.urls", namespace="autoscalebot"))]
"""

NOTIFY = """
from django.conf import settings

from autoscalebot.backends.notification import NotificationBackend


class Note(NotificationBackend):
    def send_notification(self, message=None, *args, **kwargs):
        with open(settings.BASE_DIR / "notes", "a") as notes:
            notes.write(f"{self.autoscaler.num_dynos} {message}\\n")
"""


def test_a_project_is_scaled_up_and_down_under_load_and_mails_about_it(
    project: Project, postbox: tuple[Postbox, int]
) -> None:
    box, mail = postbox
    port = free_port()
    project.settings(SETTINGS.format(port=port, mail=mail))
    project.write("shop/urls.py", URLS)
    project.write("shop/notify.py", NOTIFY)
    gunicorn = f"{project.venv.python} -m gunicorn shop.wsgi --bind 127.0.0.1:$PORT --workers 1 --log-level warning"
    project.write("Procfile", f"web: exec {gunicorn}\n")
    project.manage("check")
    project.manage("migrate")
    program = project.start(project.venv.python, "manage.py", "run_autoscalebot", log="log")
    log = project.folder / "log"
    site = f"http://127.0.0.1:{port}"

    def beats() -> bool:
        assert program.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{site}/autoscalebot/heartbeat/", timeout=5) as answer:
                return answer.read() == b"Beat"
        except OSError:
            return False

    wait_for(beats, "the project beats")
    load = Load(f"{site}/slow/", clients=12)
    try:
        wait_for(lambda: "Scaled to 3 dynos" in " ".join(box.subjects), f"up to 3 dynos: {log.read_text()}")
    finally:
        load.stop()
    assert load.answered > 10 and load.failed == 0
    wait_for(lambda: "Scaled to 1 dynos" in " ".join(box.subjects), "down to 1 dyno again")
    dynos = [int(found) for subject in box.subjects for found in re.findall(r"Scaled to (\d)", subject)]
    assert dynos == [2, 3, 2, 1], box.subjects
    first = box.mails[0]
    assert first["To"] == "ann@shop.example" and first["Subject"] == "[Django] Scaled to 2 dynos"
    assert "app/web: scaled from 1 to 2 dynos: heartbeat: " in first.get_payload()
    notes = (project.folder / "notes").read_text().splitlines()
    assert "2 Scaled to 2 dynos." in notes and notes[-1] == "1 Scaled to 1 dynos.", notes

    program.send_signal(signal.SIGTERM)
    assert program.wait(30) == 0, "its exit code is the program's"
    left = run("ps", "-eo", "pid,args").stdout
    assert str(project.folder) not in left and str(port) not in left, left


def test_one_tick_without_changing_anything(project: Project, postbox: tuple[Postbox, int]) -> None:
    port = free_port()
    project.settings(SETTINGS.format(port=port, mail=postbox[1]) + "\nAUTOSCALE_MIN_DYNOS = 2\n")
    gunicorn = f"{project.venv.python} -m gunicorn shop.wsgi --bind 127.0.0.1:$PORT --workers 1 --log-level warning"
    project.write("Procfile", f"web: exec {gunicorn}\n")
    project.write("shop/notify.py", NOTIFY)
    ran = project.manage("run_autoscalebot", "--dry-run", "--once", "--json")
    assert '"call":"dry_run"' in ran.stdout and '"desired":2' in ran.stdout, ran.stdout + ran.stderr
    assert not postbox[0].mails
