"""docs/grafana-dashboard.json through Grafana's own models of a dashboard, as no Grafana runs here."""

from __future__ import annotations

import json
import re

from conftest import REPO
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

GIVEN = json.loads((REPO / "docs" / "grafana-dashboard.json").read_text())


def strings(value: object) -> list[str]:
    """All texts in a document."""
    if isinstance(value, dict):
        return [text for inner in value.values() for text in strings(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in strings(inner)]
    return [value] if isinstance(value, str) else []


def differences(given: object, read: object, place: str = "") -> list[str]:
    """What of a document is not in what was read of it."""
    if isinstance(given, dict) and isinstance(read, dict):
        found = [f"{place}.{key} is not known" for key in given if key not in read]
        return found + [d for key in given if key in read for d in differences(given[key], read[key], f"{place}.{key}")]
    if isinstance(given, list) and isinstance(read, list) and len(given) == len(read):
        pairs = enumerate(zip(given, read))
        return [d for index, (one, other) in pairs for d in differences(one, other, f"{place}[{index}]")]
    return [] if given == read else [f"{place}: {given!r} is read as {read!r}"]


def test_grafana_knows_every_key_of_it() -> None:
    register_default_plugins()
    read = json.loads(json.dumps(Dashboard.from_json(GIVEN), cls=JSONEncoder))
    assert differences(GIVEN, read) == []
    assert read["title"] == "autoscalebot" and len(read["panels"]) >= 4


def test_the_models_would_tell() -> None:
    register_default_plugins()
    wrong = {**GIVEN, "titel": "x", "panels": [{**GIVEN["panels"][0], "gridpos": {}}]}
    read = json.loads(json.dumps(Dashboard.from_json(wrong), cls=JSONEncoder))
    assert differences(wrong, read) == [".titel is not known", ".panels[0].gridpos is not known"]


def test_it_asks_for_metrics_that_there_are() -> None:
    documented = set(re.findall(r"autoscalebot_\w+", (REPO / "docs" / "metrics.md").read_text()))
    asked = {name for text in strings(GIVEN) for name in re.findall(r"autoscalebot_\w+", text)}
    assert asked and asked <= documented, asked - documented


def test_panels_have_room_and_do_not_overlap() -> None:
    taken: set[tuple[int, int]] = set()
    ids = [panel["id"] for panel in GIVEN["panels"]]
    assert len(ids) == len(set(ids))
    for panel in GIVEN["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        taken |= cells
