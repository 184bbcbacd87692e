"""`manage.py run_autoscalebot`: the program, with the settings of this Django project."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management.base import BaseCommand, CommandError, CommandParser

from autoscalebot import conf, launch
from autoscalebot._plain import SettingError


class Command(BaseCommand):
    """Hands the AUTOSCALE_ settings and TIME_ZONE to the program, and becomes it."""

    help = "Keeps the right number of dynos running, by the AUTOSCALE_ settings of this project."
    # The program checks its settings itself, and a fault elsewhere in the project is no reason not to scale it.
    requires_system_checks: ClassVar[list[str]] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Take what the program takes."""
        parser.add_argument(
            "--dry-run", action="store_true", help="read and decide, and change nothing on the platform"
        )
        parser.add_argument("--once", action="store_true", help="one tick of everything, then the end")
        parser.add_argument("--json", action="store_true", help="each decision record on standard output, one a line")
        parser.add_argument("--check", action="store_true", help="check the settings, and do not run")
        parser.add_argument("--online", action="store_true", help="with --check: also try every credential and source")

    def handle(self, *args: Any, **options: Any) -> None:
        """Become the program."""
        if options["check"]:
            arguments = ["check", *(["--online"] if options["online"] else [])]
        else:
            flags = {"--dry-run": "dry_run", "--once": "once"}
            arguments = ["run", *(flag for flag, option in flags.items() if options[option])]
        if options["json"]:
            arguments.append("--json")
        if options["verbosity"] != 1:
            arguments.append("--log=error" if options["verbosity"] == 0 else "--log=info,autoscalebot=debug")
        try:
            launch.become(arguments, conf.document())
        except SettingError as error:
            raise CommandError(str(error), returncode=2) from error
        except FileNotFoundError as error:
            raise CommandError(str(error)) from error
