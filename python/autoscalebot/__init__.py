"""autoscalebot keeps the right number of dynos running.

The program itself is a binary that this package brings along (:func:`find_autoscalebot_bin`). What is in Python is what has
to be: the Django app, notification backends and decisions by dotted path, and heartbeats for WSGI and ASGI.
"""

from __future__ import annotations

from importlib import metadata

from autoscalebot._find import find_autoscalebot_bin

__all__ = ["JUST_RIGHT", "TOO_HIGH", "TOO_LOW", "MissingParameter", "find_autoscalebot_bin", "version"]

try:
    version: str = metadata.version("autoscalebot")
except metadata.PackageNotFoundError:  # run from a folder that was never installed
    version = "unknown"
__version__ = version

#: The results that `ping_complete` is told, as in 2.1.
TOO_LOW = "low"
JUST_RIGHT = "right"
TOO_HIGH = "high"


class MissingParameter(Exception):
    """A setting that is needed is not set."""
