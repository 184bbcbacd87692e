"""Decisions in Python: the documented example, run by the program; and functions that misbehave."""

from __future__ import annotations

import json
import re
from pathlib import Path

from conftest import REPO, Venv, run

PAGE = (REPO / "docs" / "policies" / "python.md").read_text()

CONFIG = """
[platforms.local]
type = "local"
listen = "127.0.0.1:0"
formation = {{ web = 2 }}

[apps.shop]
platform = "local"

[apps.shop.processes.web]
max_dynos = 8
[[apps.shop.processes.web.measure]]
type = "heartbeat"
url = "http://127.0.0.1:9/"
every = "1s"
decide = {{ type = "python", policy = "shop.scaling.{function}", timeout = "2s" }}
"""

MISBEHAVING = """

def raises(seen):
    raise ValueError("no idea")

def hangs(seen):
    import time
    time.sleep(60)

def says_text(seen):
    return "three"

def wants_many(seen):
    assert seen.newest.value is None and seen.unit == "ms" and (seen.min_dynos, seen.max_dynos) == (1, 8)
    return 100, "the more the merrier"
"""


def shop(folder: Path, function: str) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    (folder / "shop").mkdir()
    (folder / "shop" / "scaling.py").write_text(example + MISBEHAVING)
    (folder / "Procfile").write_text("web: exec python3 -m http.server $PORT --bind 127.0.0.1\n")
    (folder / "autoscalebot.toml").write_text(CONFIG.format(function=function))


def once(venv: Venv, folder: Path, function: str) -> tuple[dict, str]:
    shop(folder, function)
    ran = run(venv.program, "run", "--once", "--json", cwd=folder)
    return json.loads(ran.stdout), ran.stderr


def test_the_answer_is_decided_on_within_the_bounds_and_decides_again(bare: Venv, tmp_path: Path) -> None:
    record, _ = once(bare, tmp_path, "wants_many")
    assert record["desired"] == 8 and record["call"] == "ok"
    assert record["reason"] == "heartbeat: the function wants 100 dynos: the more the merrier"
    (tmp_path / "trace.jsonl").write_text(json.dumps(record) + "\n")
    (tmp_path / "shop" / "scaling.py").unlink()
    again = json.loads(run(bare.program, "replay", "trace.jsonl", cwd=tmp_path).stdout)
    assert {name: again[name] for name in ("desired", "reason", "dynos")} == {
        name: record[name] for name in ("desired", "reason", "dynos")
    }


def test_the_documented_example(bare: Venv, tmp_path: Path) -> None:
    record, _ = once(bare, tmp_path, "decide")
    assert record["reason"] == "heartbeat: the function wants 2 dynos: neither slow nor idle"
    says = bare.code(
        """
        from datetime import datetime, timedelta
        from autoscalebot.policy import Sample, Seen
        from shop.scaling import decide
        def seen(*values, every=30):
            start = datetime(2012, 7, 10)
            samples = tuple(Sample(start + timedelta(seconds=every * n), value) for n, value in enumerate(values))
            return Seen(samples[-1].at, "shop", "web", 3, 1, 8, "heartbeat", "ms", samples)
        print(decide(seen(900, None, 1200)))
        print(decide(seen(*[100] * 21)))
        print(decide(seen(*[100] * 20)))
        print(decide(seen(100, 900, 900)))
        """,
        cwd=tmp_path,
    )
    assert [line.split(",")[0] for line in says.splitlines()] == ["(5", "(2", "(3", "(3"]


def test_one_that_misbehaves_changes_nothing(bare: Venv, tmp_path: Path) -> None:
    for function, why in {
        "raises": "ValueError: no idea",
        "hangs": "no answer within 2s",
        "says_text": "wants 'three' dynos: return a whole number",
        "missing": "shop.scaling.missing cannot be imported",
    }.items():
        folder = tmp_path / function
        folder.mkdir()
        record, log = once(bare, folder, function)
        assert record["call"] == "none" and record["dynos"] == {"before": 2, "after": 2}, record
        assert why in record["reason"] and why in log, record["reason"]


def test_check_finds_one_that_is_not_there(bare: Venv, tmp_path: Path) -> None:
    shop(tmp_path, "missing")
    ran = run(bare.program, "check", "--online", cwd=tmp_path, code=1)
    assert "shop.scaling.missing cannot be imported" in ran.stdout


def test_it_is_simulated_by_the_same_answers(bare: Venv, tmp_path: Path) -> None:
    shop(tmp_path, "decide")
    rows = [f"{1704067200 + 60 * minute},{300 + 900 * (20 <= minute < 50)}" for minute in range(90)]
    (tmp_path / "traffic.csv").write_text("\n".join(rows))
    simulate = (bare.program, "simulate", "traffic.csv", "--json")
    first, again = (json.loads(run(*simulate, cwd=tmp_path).stdout) for _ in range(2))
    assert first == again
    (report,) = first["reports"]
    # Two dynos for 20 minutes; then three slow heartbeats in a row, again and again within a minute, up to all eight
    # for the other 70: requests of 100 ms on average are not all below 150 ms, so none is taken away.
    assert report["name"] == "web" and report["changes"] == 1, report
    assert abs(report["dyno_hours"] - (2 * 20 + 8 * 70) / 60) < 0.1, report
    (tmp_path / "autoscalebot.toml").write_text(CONFIG.format(function="raises"))
    failed = run(*simulate, cwd=tmp_path, code=1)
    assert "shop.scaling.raises gave no number of dynos 3 times in a row" in failed.stderr
    assert "ValueError: no idea" in failed.stderr and not failed.stdout
