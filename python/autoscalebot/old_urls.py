"""Finds the URLconf that autoscalebot 2.1 documented, and says the line to write today.

Django dropped `patterns` in 1.10 and the argument `app_name` of `include` in 2.0. Its own error names neither this app nor
the mend, and stops `manage.py check` before any check may speak; so the file is read, not run, as the app starts.
"""

from __future__ import annotations

import ast
import importlib.util
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

LINE = 'path("", include("autoscalebot.urls", namespace="autoscalebot"))'


def _old_form(source: str) -> int | None:
    """Return the line of an include of autoscalebot's URLs that no Django of today can read."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return None  # Python itself will say so, with the line
    includes = [
        call
        for call in ast.walk(tree)
        if isinstance(call, ast.Call)
        and isinstance(call.func, (ast.Name, ast.Attribute))
        and (call.func.id if isinstance(call.func, ast.Name) else call.func.attr) == "include"
        and call.args
        and isinstance(call.args[0], ast.Constant)
        and call.args[0].value == "autoscalebot.urls"
    ]
    for call in includes:
        if any(keyword.arg == "app_name" for keyword in call.keywords):
            return call.lineno
    for node in ast.walk(tree):
        if not includes:
            break
        if isinstance(node, ast.ImportFrom) and node.module in ("django.conf.urls", "django.conf.urls.defaults"):
            if node.module.endswith("defaults") or any(alias.name in ("patterns", "*") for alias in node.names):
                return includes[0].lineno
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "patterns":
            return includes[0].lineno
    return None


def refuse() -> None:
    """Raise :class:`ImproperlyConfigured` with the line to write, where the project's URLconf has 2.1's form."""
    name = getattr(settings, "ROOT_URLCONF", None)
    if not isinstance(name, str):
        return
    try:
        spec = importlib.util.find_spec(name)
        path = Path(spec.origin) if spec and spec.origin else None
        line = _old_form(path.read_text(encoding="utf-8")) if path and path.suffix == ".py" else None
    except (ImportError, OSError, ValueError):
        return
    if line is not None:
        raise ImproperlyConfigured(
            f"{path}:{line}: autoscalebot.urls is included in the form of autoscalebot 2.1, which Django no longer "
            f"reads. Write, with `from django.urls import include, path`:\n\n    urlpatterns += [{LINE}]\n"
        )
