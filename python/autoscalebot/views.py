"""The heartbeat of a Django project: database, cache and disk, each touched on every request."""

from __future__ import annotations

import secrets
from typing import Any

from django.conf import settings
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.cache.backends.dummy import DummyCache
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.utils.module_loading import import_string

from autoscalebot import heartbeat as beat

try:
    from django.contrib.auth.decorators import login_not_required
except ImportError:  # Django before 5.1

    def login_not_required(view: Any) -> Any:
        """Leave the view as it is."""
        return view


def database() -> None:
    """Ask the default database for a number that it cannot have remembered."""
    number = secrets.randbelow(1_000_000)
    suffix = connection.features.bare_select_suffix
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {number}{suffix}")
        row = cursor.fetchone()
    if row is None or row[0] != number:
        raise RuntimeError("the database answers another number")


def cached() -> None:
    """Write to the default cache and read it again. A cache that is switched off has nothing to fail."""
    cache = caches[DEFAULT_CACHE_ALIAS]
    if isinstance(cache, DummyCache):
        return
    # A key of its own: two heartbeats at once must not read what the other wrote.
    key, written = f"autoscalebot-heartbeat-{secrets.token_hex(8)}", secrets.token_hex(8)
    cache.set(key, written, timeout=60)
    read = cache.get(key)
    cache.delete(key)
    if read != written:
        raise RuntimeError("the cache does not hold what was written to it")


#: The parts that AUTOSCALE_HEARTBEAT_PARTS may name; a dotted path of a function of the project's own is one too.
PARTS: dict[str, beat.Check] = {"database": database, "cache": cached, "disk": beat.disk}


def check_of(part: str) -> beat.Check:
    """Return the check of a part; raise :class:`ImportError` where there is none."""
    if part in PARTS:
        return PARTS[part]
    check = import_string(part)
    if not callable(check):
        raise ImportError(f"{part} is no function")
    return check


# A transaction around the view would fail before it could say that the database did.
@transaction.non_atomic_requests
@login_not_required
def heartbeat(request: HttpRequest) -> HttpResponse:
    """Answer `Beat`, or 503 with the name of the part that failed."""
    parts = getattr(settings, "AUTOSCALE_HEARTBEAT_PARTS", None)
    checks = {}
    answer = None
    for part in PARTS if parts is None else parts:
        try:
            checks[part] = check_of(part)
        except Exception as error:
            answer = beat.failed(part, error)
            break
    answer = answer or beat.run(checks)
    return HttpResponse(
        answer.body, status=answer.status, content_type="text/plain; charset=utf-8", headers=beat.NEVER_CACHED
    )
