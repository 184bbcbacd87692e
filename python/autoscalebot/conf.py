"""The AUTOSCALE_ settings of a Django project, as the program takes them: one JSON object of plain values."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

from django.conf import settings

from autoscalebot._plain import SettingError, plain

__all__ = ["OURS", "SettingError", "collect", "plain", "site"]

PREFIX = "AUTOSCALE_"

#: Settings that are for this package alone; the program does not know them.
OURS = ("HEARTBEAT_PARTS", "SITE_URL")

DEFAULT_HEARTBEAT = "/autoscalebot/heartbeat/"

#: The address that the local platform's proxy listens at unless its setting says another.
LOCAL_LISTEN = "127.0.0.1:5000"


def collect() -> dict[str, Any]:
    """Return the settings by their names with the prefix, and TIME_ZONE; raise :class:`SettingError` for a bad one."""
    found = {}
    for name in dir(settings):
        if name.startswith(PREFIX) and name[len(PREFIX) :] not in OURS:
            found[name] = plain(name, getattr(settings, name))
    found.setdefault("TIME_ZONE", plain("TIME_ZONE", settings.TIME_ZONE))
    return found


def with_heartbeat(found: dict[str, Any]) -> dict[str, Any]:
    """Return the settings with HEARTBEAT_URL whole: where it is a path, it is one of the project's own site."""
    url = found.get(f"{PREFIX}HEARTBEAT_URL")
    if url is None:
        url = DEFAULT_HEARTBEAT
    if isinstance(url, str) and url.startswith("/"):
        url = urljoin(site(found.get(f"{PREFIX}PLATFORM")), url)
    return {**found, f"{PREFIX}HEARTBEAT_URL": url}


def site(platform: Any = None) -> str:
    """Return the site's own address, such as `https://shop.example`.

    AUTOSCALE_SITE_URL says it. Without that it is the local platform's proxy, or the first host of ALLOWED_HOSTS that is
    one, over https.
    """
    given: Any | None = getattr(settings, f"{PREFIX}SITE_URL", None)
    if given:
        parts = urlsplit(str(given))
        if parts.scheme not in ("http", "https") or not parts.netloc:
            raise SettingError(f"{PREFIX}SITE_URL", "is no address", 'write one such as "https://shop.example"')
        return str(given)
    kind = platform.get("type") if isinstance(platform, Mapping) else platform
    if kind == "local":
        listen = platform.get("listen") if isinstance(platform, Mapping) else None
        host, _, port = str(listen or LOCAL_LISTEN).rpartition(":")
        if port == "0":
            raise SettingError(
                f"{PREFIX}HEARTBEAT_URL",
                f"is a path, and {PREFIX}PLATFORM listens at any free port",
                'give "listen" a port, or the whole address here',
            )
        # Every address is listened at, and this machine's own is one of them.
        host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
        return f"http://{host}:{port}"
    for host in settings.ALLOWED_HOSTS:
        # "*" is every host and ".shop.example" a whole domain: neither is an address to ask.
        if host and host[0] not in "*.":
            return f"https://{host}"
    raise SettingError(
        f"{PREFIX}HEARTBEAT_URL",
        "is a path, and no host is known to ask it of",
        f'add {PREFIX}SITE_URL = "https://shop.example", or name the host in ALLOWED_HOSTS',
    )


def document() -> str:
    """Return what the program reads on its standard input."""
    return dump(with_heartbeat(collect()))


def dump(found: Mapping[str, Any]) -> str:
    """Return the settings as the program reads them; `source` is how its messages name where they come from."""
    source = getattr(settings, "SETTINGS_MODULE", None) or "django-settings"
    return json.dumps({"source": str(source), **found}, allow_nan=False)
