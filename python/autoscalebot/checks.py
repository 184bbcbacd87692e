"""`manage.py check`: every bad AUTOSCALE_ setting with its hint.

The program itself reads the settings, so that the check and the run say the same; what only Python knows is added here. A
project that only serves the heartbeat has no AUTOSCALE_ settings, and nothing to check.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from autoscalebot import conf
from autoscalebot._find import find_autoscalebot_bin
from autoscalebot._plain import SettingError
from autoscalebot.launch import environment

#: Reading settings takes milliseconds; a machine under load gets its time.
LIMIT_SECS = 30

#: How the program's line names a setting: `shop.settings: AUTOSCALE_MIN_DYNOS: …`.
LINE = re.compile(r"^(?P<warning>warning: )?(?:(?P<source>[^:\s]+): )?(?:(?P<setting>[\w.\[\]]+): )?(?P<message>.+)$")


def check_settings(app_configs: Any | None = None, **kwargs: Any) -> list[CheckMessage]:
    """Check the settings that are there."""
    found = list(_parts())
    try:
        given = conf.collect()
    except SettingError as error:
        return [*found, _error(error)]
    if not any(name.startswith(conf.PREFIX) for name in given):
        return found
    found.extend(_mail(given))
    try:
        text = conf.document()
    except SettingError as error:
        # The rest is still worth checking, against an address that is none.
        found.append(_error(error))
        text = conf.dump({**given, f"{conf.PREFIX}HEARTBEAT_URL": "http://unknown.invalid/"})
    return [*found, *_by_program(text, given)]


def _error(error: SettingError) -> CheckMessage:
    return Error(
        f"{error.setting} {error.message}", hint=f"{error.hint[:1].upper()}{error.hint[1:]}.", id="autoscalebot.E002"
    )


def _mail(given: dict[str, Any]) -> Iterator[CheckMessage]:
    """Say that mail has no reader; the program leaves mail to Django and does not look."""
    name = f"{conf.PREFIX}NOTIFICATION_BACKENDS"
    backends = given.get(name)
    mails = isinstance(backends, list) and any(str(backend).endswith(".DjangoEmailBackend") for backend in backends)
    if mails and not settings.ADMINS:
        yield Warning(
            f"{name} has DjangoEmailBackend, and ADMINS is empty",
            hint="Add the addresses to mail to to ADMINS, or take the backend out.",
            id="autoscalebot.W004",
        )


def _parts() -> Iterator[CheckMessage]:
    """Check AUTOSCALE_HEARTBEAT_PARTS, which the program does not know."""
    from autoscalebot.views import PARTS, check_of

    name = f"{conf.PREFIX}HEARTBEAT_PARTS"
    parts = getattr(settings, name, None)
    if parts is None:
        return
    hint = f"Name some of {', '.join(PARTS)}, or functions of your own by dotted path."
    if isinstance(parts, str) or not isinstance(parts, (list, tuple)):
        yield Error(f"{name} must be a list", hint=hint, id="autoscalebot.E003")
        return
    for part in parts:
        try:
            check_of(part)
        except Exception as error:
            yield Error(f"{name} names {part!r}, which cannot be imported: {error}", hint=hint, id="autoscalebot.E003")


def _by_program(text: str, given: dict[str, Any]) -> Iterator[CheckMessage]:
    try:
        program = find_autoscalebot_bin()
        ran = subprocess.run(
            [program, "--settings=-", "check"],
            input=text,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECS,
            env=environment(),
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Warning(f"the AUTOSCALE_ settings could not be checked: {error}", id="autoscalebot.W001")
        return
    for line in ran.stderr.splitlines():
        if line.strip() and not line.startswith("error: "):
            yield _message(line, given)
    if ran.returncode not in (0, 2):
        yield Warning(f"the check of the AUTOSCALE_ settings ended with {ran.returncode}", id="autoscalebot.W001")


def _message(line: str, given: dict[str, Any]) -> CheckMessage:
    match = LINE.match(line)
    if match is None:
        return Error(line, id="autoscalebot.E001")
    setting, message = match["setting"] or "", match["message"]
    what, separator, hint = message.rpartition(": ")
    text = f"{setting}: {what if separator else message}" if setting else (what if separator else message)
    hint = f"{hint[:1].upper()}{hint[1:]}" if separator else ""
    if match["warning"]:
        return Warning(text, hint=hint or None, id="autoscalebot.W002")
    # A secret that this machine does not have is no reason to stop `migrate` or `runserver` there.
    if given.get(setting) in (None, ""):
        return Warning(text, hint=hint or None, id="autoscalebot.W003")
    return Error(text, hint=hint or None, id="autoscalebot.E001")
