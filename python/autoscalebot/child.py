"""`python -m autoscalebot.child`: runs the project's own Python for the program, and speaks JSON lines with it.

In, one line a request: `{"id": 1, "backend": "shop.notify.Pager", "event": {…}}`, `{"id": 2, "backend": …, "probe": true}`
or `{"id": 3, "policy": "shop.scaling.decide", "input": {…}}`. Out, one line an answer: `{"id": 1, "ok": …}`, or
`{"id": 1, "error": "…", "retry": false}`. The program starts it, ends it by closing its standard input, and starts another
where this one hangs or dies.

Each backend and each policy has a thread, so one that hangs holds up no other. What they print goes to standard error:
standard output belongs to the answers.
"""

from __future__ import annotations

import json
import logging
import os
import queue
import signal
import sys
import threading
import traceback
from importlib import import_module
from typing import Any, TextIO

from autoscalebot import JUST_RIGHT, TOO_HIGH, TOO_LOW
from autoscalebot.backends.notification.base import Autoscaler, NotificationBackend
from autoscalebot.policy import Policy

#: Which method of a backend an event calls, by its topic; `decided` and what is not here are in `tell`.
METHODS = {
    "scaled": "notify_scaled",
    "scale_failed": "notify_scale_failed",
    "scale_failing": "notify_scale_failed",
    "needs_above_max": "notify_needs_above_max",
    "needs_below_min": "notify_needs_below_min",
    "scaling_too_rapid": "notify_scale_diff_too_big",
}

RESULTS = {"too_low": TOO_LOW, "just_right": JUST_RIGHT, "too_high": TOO_HIGH}

Request = dict[str, Any]


class OfNoUse(Exception):
    """A dotted path leads nowhere, or to something of no use; trying again is none either."""


def find(path: str) -> Any:
    """Return what a dotted path names."""
    module, _, name = path.rpartition(".")
    if not module:
        raise OfNoUse(f"{path!r} is no dotted path: write one such as shop.notify.Pager")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise OfNoUse(f"{path} cannot be imported: {error}") from error


def tell(backend: Any, event: dict[str, Any]) -> None:
    """Call the method of 2.1 that fits the event."""
    topic, name, message = event.get("topic", ""), event.get("name", ""), event.get("message", "")
    if topic == "decided":
        measured = (event.get("record") or {}).get("measurements") or [{}]
        value, result = measured[0].get("value"), RESULTS.get(measured[0].get("verdict"))
        if value is not None and result is not None:
            backend.ping_complete(value, result)
            return
    # The end of a condition has no method of its own.
    elif topic in METHODS and name != "condition_ended":
        getattr(backend, METHODS[topic])()
        return
    backend.send_notification(message=message)


class Notifier:
    """One backend, made once for each process that it is told about, as 2.1 made one for its app."""

    def __init__(self, path: str) -> None:
        """Import nothing yet: that may fail, and a failure belongs to a request."""
        self.path = path
        self.made: dict[tuple[str, str], NotificationBackend] = {}

    def _make(self, app: str, process: str) -> Any:
        if (app, process) not in self.made:
            kind = find(self.path)
            if not callable(kind):
                raise OfNoUse(f"{self.path} is no class")
            self.made[app, process] = kind(Autoscaler())
        return self.made[app, process]

    def answer(self, request: Request) -> str | None:
        """Tell the event."""
        if request.get("probe"):
            self._make("", "")
            return f"{self.path} can be made"
        event = request["event"]
        backend = self._make(event.get("app", ""), event.get("process", ""))
        autoscaler = getattr(backend, "autoscaler", None)
        if isinstance(autoscaler, Autoscaler):
            autoscaler._told(event)
        tell(backend, event)
        return None


class Worker:
    """The thread of one backend or policy, and the requests that wait for it."""

    def __init__(self, work: Any, child: Child) -> None:
        """Start the thread."""
        self.requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self.work, self.child = work, child
        threading.Thread(target=self._run, name=work.path, daemon=True).start()

    def _run(self) -> None:
        while True:
            request = self.requests.get()
            self.child.say(self._answer(request))

    def _answer(self, request: Request) -> dict[str, Any]:
        try:
            self.child.prepare()
            with self.child.connections():
                return {"id": request["id"], "ok": self.work.answer(request)}
        except BaseException as error:
            # Even SystemExit: it ends a program that asked for it, and this one did not.
            if not isinstance(error, OfNoUse):
                traceback.print_exc()
            # What the network did may pass; a mistake in the code stays one.
            retry = isinstance(error, OSError)
            return {"id": request["id"], "error": one_line(error), "retry": retry}


class _Connections:
    """Keeps a database connection that the server closed in between from failing the next call."""

    def _close(self) -> None:
        db = sys.modules.get("django.db")
        if db is not None and os.environ.get("DJANGO_SETTINGS_MODULE"):
            db.close_old_connections()

    def __enter__(self) -> None:
        self._close()

    def __exit__(self, *exc: object) -> None:
        self._close()


def one_line(error: BaseException) -> str:
    """Return the error as one line."""
    text = " ".join(str(error).split())
    kind = type(error).__name__
    return (text or kind) if isinstance(error, OfNoUse) else f"{kind}: {text}" if text else kind


class Child:
    """The conversation with the program."""

    def __init__(self, answers: TextIO) -> None:
        """Begin it; the answers go there."""
        self.answers = answers
        self.speaking = threading.Lock()
        self.preparing = threading.Lock()
        self.prepared = False
        self.workers: dict[tuple[str, str], Worker] = {}

    def connections(self) -> _Connections:
        """Return what surrounds each call."""
        return _Connections()

    def prepare(self) -> None:
        """Set Django up, where the project is one; before the first call, so that its failure is that call's answer."""
        with self.preparing:
            if self.prepared:
                return
            if os.environ.get("DJANGO_SETTINGS_MODULE"):
                try:
                    import django
                except ImportError as error:
                    raise OfNoUse(f"DJANGO_SETTINGS_MODULE is set, and Django is missing: {error}") from error
                django.setup()
            if not logging.getLogger().handlers:
                logging.basicConfig(level=logging.INFO, stream=sys.stderr)
            self.prepared = True

    def say(self, answer: dict[str, Any]) -> None:
        """Write one answer."""
        line = json.dumps(answer)
        with self.speaking:
            self.answers.write(line + "\n")
            self.answers.flush()

    def hear(self, line: str) -> None:
        """Hand a request to its worker; never waits."""
        request = json.loads(line)
        kind = "policy" if "policy" in request else "backend"
        key = (kind, request[kind])
        if key not in self.workers:
            work = Policy(request[kind]) if kind == "policy" else Notifier(request[kind])
            self.workers[key] = Worker(work, self)
        self.workers[key].requests.put(request)


def main() -> None:
    """Answer until standard input ends."""
    # Whoever stops the program sends the signal to all of its processes; the last news is still to be told. Handlers, not
    # SIG_IGN: that would be inherited by what a backend starts.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    requests = os.fdopen(os.dup(0), "r", encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(2, 1)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(line_buffering=True)
    known = set(sys.path)
    sys.path.extend(
        path for path in os.environ.get("AUTOSCALEBOT_PYTHON_PATH", "").split(os.pathsep) if path and path not in known
    )
    child = Child(answers)
    for line in requests:
        child.hear(line)
    sys.stderr.flush()
    # A thread that hangs must not keep the process: the program has said its last word.
    os._exit(0)


if __name__ == "__main__":
    main()
