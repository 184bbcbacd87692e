"""Backends by dotted path, as users of 2.1 have them: run by the program, with and without Django."""

from __future__ import annotations

from pathlib import Path

from conftest import Project, Venv, clean, run

SETTINGS = """
PLATFORM = {"type": "local", "listen": "127.0.0.1:0", "formation": {"web": 1}}
HEARTBEAT_URL = "http://127.0.0.1:9/"
MIN_DYNOS = 2
NOTIFY_ON_EVERY_SCALE = True
"""

BACKEND = """
import os
from autoscalebot.backends.notification import NotificationBackend

class Pager(NotificationBackend):
    def send_notification(self, message=None, *args, **kwargs):
        with open("notes", "a") as notes:
            bounds = self.autoscaler.min_num_dynos(), self.autoscaler.max_num_dynos()
            print(self.autoscaler.app, self.autoscaler.process, self.autoscaler.num_dynos, *bounds, message, file=notes)
"""


def test_the_command_runs_backends_in_the_python_beside_it(bare: Venv, tmp_path: Path) -> None:
    backends = 'NOTIFICATION_BACKENDS = ["mine.Pager", "mine.Missing"]\n'
    (tmp_path / "autoscale_settings.py").write_text(SETTINGS + backends)
    (tmp_path / "mine.py").write_text(BACKEND)
    (tmp_path / "Procfile").write_text("web: exec sleep 60\n")
    ran = run(bare.program, "--settings=autoscale_settings", "run", "--once", cwd=tmp_path)
    assert (tmp_path / "notes").read_text() == "app web 2 2 3 Scaled to 2 dynos.\n"
    assert "mine.Missing cannot be imported" in ran.stderr


def test_without_a_python_a_backend_of_ones_own_is_an_error_that_says_what_to_do(bare: Venv, tmp_path: Path) -> None:
    program = tmp_path / "autoscalebot"
    program.write_bytes(bare.program.read_bytes())
    program.chmod(0o755)
    (tmp_path / "autoscale_settings.py").write_text(SETTINGS + 'NOTIFICATION_BACKENDS = ["mine.Pager"]\n')
    (tmp_path / "Procfile").write_text("web: exec sleep 60\n")
    ran = run(program, "--settings=autoscale_settings", "check", cwd=tmp_path, code=2)
    assert "NOTIFICATION_BACKENDS" in ran.stderr and "AUTOSCALEBOT_PYTHON" in ran.stderr
    named = {**clean(), "AUTOSCALEBOT_PYTHON": str(bare.python)}
    run(program, "--settings=autoscale_settings", "check", cwd=tmp_path, env=named)


def test_a_djangos_log_is_its_own(project: Project) -> None:
    project.settings("".join(f"AUTOSCALE_{line}\n" for line in SETTINGS.strip().splitlines()))
    project.settings(
        """
        AUTOSCALE_NOTIFICATION_BACKENDS = [
            "autoscalebot.backends.notification.LoggerBackend",
            "shop.notify.Model",
        ]
        LOGGING = {
            "version": 1,
            "handlers": {"file": {"class": "logging.FileHandler", "filename": BASE_DIR / "shop.log"}},
            "loggers": {"autoscalebot": {"handlers": ["file"], "level": "INFO"}},
        }
        """
    )
    project.write(
        "shop/notify.py",
        """
        from autoscalebot.backends.notification import NotificationBackend

        class Model(NotificationBackend):
            def notify_scaled(self):
                from django.contrib.auth.models import User
                User.objects.create(username=f"scaled-to-{self.autoscaler.num_dynos}-of-{self.autoscaler.settings.MIN_DYNOS}")
        """,
    )
    (project.folder / "Procfile").write_text("web: exec sleep 60\n")
    project.manage("migrate")
    project.manage("run_autoscalebot", "--once")
    assert (project.folder / "shop.log").read_text() == "Scaled to 2 dynos.\n"
    found = project.manage("shell", "-c", "from django.contrib.auth.models import User as U; print(U.objects.get())")
    assert "scaled-to-2-of-2" in found.stdout
