"""What a policy in Python sees, and what it may answer.

::

    from autoscalebot.policy import Seen


    def decide(seen: Seen) -> tuple[int, str]:
        waiting = seen.newest.value
        return seen.dynos + (waiting > 100), f"{waiting:.0f} jobs wait"

The answer is recorded with the tick. What the program guards, it guards here too: gates may hold the answer back, and the
bounds come last.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, Optional, Union

__all__ = ["Answer", "Policy", "Sample", "Seen"]

#: The wanted number of dynos, with a reason or alone; ``None`` where nothing can be said: then nothing is lowered.
Answer = Union[int, None, tuple[Optional[int], str]]


@dataclass(frozen=True)
class Sample:
    """One reading of the measurement."""

    #: When it was received.
    at: datetime
    #: In the unit of the measurement; ``None`` where a heartbeat had no answer, which counts as too slow.
    value: float | None


@dataclass(frozen=True)
class Seen:
    """One tick of one process."""

    at: datetime
    app: str
    process: str
    #: How many dynos run.
    dynos: int
    #: The bounds in force. An answer may lie outside: it is then moved to the nearer one, and the record says so.
    min_dynos: int
    max_dynos: int
    #: The measurement's name, and its unit, such as ``"ms"``.
    measurement: str
    unit: str
    #: The readings since the last scale, the oldest first; never empty.
    samples: tuple[Sample, ...]

    @property
    def newest(self) -> Sample:
        """The newest reading."""
        return self.samples[-1]

    @classmethod
    def of(cls, told: dict[str, Any]) -> Seen:
        """Read what the program tells."""
        return cls(
            at=_instant(told["at"]),
            app=told["app"],
            process=told["process"],
            dynos=told["dynos"],
            min_dynos=told["bounds"]["min"],
            max_dynos=told["bounds"]["max"],
            measurement=told["measurement"],
            unit=told["unit"],
            samples=tuple(Sample(_instant(sample["at"]), sample.get("value")) for sample in told["samples"]),
        )


def _instant(text: str) -> datetime:
    """Read an instant in UTC. Python before 3.11 reads neither the `Z` nor fractions of another length than six digits."""
    seconds, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{seconds}.{fraction[:6]:0<6}").replace(tzinfo=timezone.utc)


class Policy:
    """One function that decides, by its dotted path."""

    def __init__(self, path: str) -> None:
        """Import nothing yet: that may fail, and a failure belongs to a request."""
        self.path = path

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the wanted number of dynos, or none, and why."""
        # Not above: `child` runs this module's Policy.
        from autoscalebot.child import OfNoUse, find

        decide = find(self.path)
        if request.get("probe"):
            return {}
        said = decide(Seen.of(request["input"]))
        desired, reason = said if isinstance(said, tuple) else (said, "")
        if desired is not None and (isinstance(desired, bool) or not isinstance(desired, int) or desired < 0):
            raise OfNoUse(f"{self.path} wants {desired!r} dynos: return a whole number from 0 up, or None")
        return {"desired": desired, "why": " ".join(str(reason).split())[:500]}
