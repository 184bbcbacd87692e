"""`python -m autoscalebot.module_settings NAME`: runs a settings module, and writes its values as one JSON object.

The program reads settings of literals without running anything; it comes here for a module that computes some.
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from importlib import import_module
from typing import Any

from autoscalebot._plain import SettingError, plain

PREFIX = "AUTOSCALE_"

#: What a Django settings module says without the prefix.
DJANGO = ("TIME_ZONE", "ADMINS", "SERVER_EMAIL")


def values(name: str) -> dict[str, Any]:
    """Return the settings of a module or file: its names in capitals that JSON can say."""
    sys.path.insert(0, os.getcwd())
    sys.path.extend(path for path in os.environ.get("AUTOSCALEBOT_PYTHON_PATH", "").split(os.pathsep) if path)
    try:
        found = runpy.run_path(name) if name.endswith(".py") else vars(import_module(name))
    except ModuleNotFoundError as error:
        if not (error.name and f"{name}.".startswith(f"{error.name}.")):
            raise
        sys.exit(f"error: there is no module {name} on the Python path")
    names = [name for name in found if name.isupper()]
    if any(name.startswith(PREFIX) for name in names):
        names = [name for name in names if name.startswith((PREFIX, "EMAIL_")) or name in DJANGO]
    settings = {}
    for setting in names:
        try:
            settings[setting] = plain(setting, found[setting])
        except SettingError as error:
            print(f"warning: {error}", file=sys.stderr)
    return settings


def main() -> None:
    """Write them."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m autoscalebot.module_settings MODULE_OR_FILE")
    # What the module prints is not for the program.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    with answers:
        json.dump({"source": sys.argv[1], **values(sys.argv[1])}, answers, allow_nan=False)


if __name__ == "__main__":
    main()
