"""`flag-trl show-memory` lists what prompts would show, and an account's own trades by the day asked for."""

from pathlib import Path

import pytest

from flag_trl import cli
from flag_trl.observations import EpisodeMemory, save_memories
from flag_trl.observations.reflections import Reflection


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch) -> str:
    monkeypatch.setenv("COLUMNS", "160")
    days = [f"2020-01-{day:02}" for day in range(1, 29)]
    deeds = [
        "opened a plant",
        "paid a fine",
        "won a prize",
        "hired a chief",
        "sold a fleet",
        "cut its costs",
        "sued a rival",
    ]
    rows = (f"{day},{100 + n % 3},Acme {deeds[n % 7]}." for n, day in enumerate(days))
    (tmp_path / "AAA.csv").write_text("date,close,news\n" + "\n".join(rows) + "\n")
    (tmp_path / "r.yaml").write_text(
        f"data: {tmp_path}\nsymbols: [AAA]\nfill: same_close\nnews_query: [Acme]\nmemory_items: 1\nreflections: 1\n"
    )
    return str(tmp_path / "r.yaml")


def test_it_lists_memories_with_their_scores(recipe, capsys) -> None:
    assert cli.main(["show-memory", "--config", recipe, "--date", "2020-01-20", "--most", "3"]) == 0
    shown = capsys.readouterr().out
    assert "AAA, remembered on 2020-01-20" in shown and "prompts show the first 1" in shown
    assert shown.count("short") == 3 and shown.count("Acme") == 3


def test_names_are_hidden_where_prompts_hide_them(recipe, capsys) -> None:
    cli.main(["show-memory", "--config", recipe, "--date", "2020-01-20", "--anonymise", "true"])
    shown = capsys.readouterr().out
    assert "the company" in shown and "Acme" not in shown


def test_an_account_s_own_trades_are_those_closed_by_the_day(recipe, tmp_path, capsys) -> None:
    trades = [Reflection(5, 8, 1, 0.031, "Acme paid a fine."), Reflection(9, 24, -1, -0.02, "later")]
    save_memories(tmp_path / "memory.json", [EpisodeMemory("AAA", trades)])
    words = ["show-memory", "--config", recipe, "--date", "2020-01-20", "--own", str(tmp_path / "memory.json")]
    cli.main(words)
    shown = capsys.readouterr().out
    assert "its own trades of the episode by 2020-01-20: 1" in shown and "+3.1%" in shown and "later" not in shown
    save_memories(tmp_path / "memory.json", [EpisodeMemory("BBB", trades)])
    with pytest.raises(SystemExit, match="is of BBB, the recipe has AAA"):
        cli.main(words)
