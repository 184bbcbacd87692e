"""From the values of a running Python to those that JSON can say, whichever way settings come in."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import Decimal
from os import PathLike, fspath
from typing import Any


class SettingError(Exception):
    """A setting that cannot be handed to the program, and the mend."""

    def __init__(self, setting: str, message: str, hint: str) -> None:
        """Keep the setting's name, what is wrong, and what to do."""
        super().__init__(f"{setting} {message}: {hint}")
        self.setting, self.message, self.hint = setting, message, hint


def plain(name: str, value: Any) -> Any:
    """Turn whatever Python computed into what JSON can say. A value that has no such form is an error of its setting."""
    if value is None or isinstance(value, (bool, int, str)):
        # A subclass, such as a lazy text or an enum of numbers, becomes its plain type.
        return value if value is None or type(value) in (bool, int, str) else _base(value)
    if isinstance(value, (float, Decimal)):
        number = float(value)
        if math.isfinite(number):
            return number
        raise SettingError(name, f"is {number}", "give a number")
    if hasattr(value, "_proxy____cast"):  # a text that Django translates late
        return str(value)
    if isinstance(value, PathLike):
        return str(fspath(value))
    if isinstance(value, Mapping):
        return {str(plain(name, key)): plain(name, entry) for key, entry in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray)):
        return [plain(name, entry) for entry in value]
    raise SettingError(
        name, f"is a {type(value).__name__}", "give text, a number, True or False, a list or a dictionary"
    )


def _base(value: Any) -> Any:
    for kind in (bool, int, str):
        if isinstance(value, kind):
            return kind(value)
    return value
