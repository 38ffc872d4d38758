"""The commands: simulate, stop, resume, replay, paper, from recipes as they are shipped."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

from flag_trl.live import Journal, JournalError, journal_path
from flag_trl.scripts import paper, replay, simulate, stop
from flag_trl.scripts.simulate import speed_of
from tests.conftest import REPOSITORY

RECIPES = sorted((REPOSITORY / "recipes" / "live").glob("*.yaml"))
DAYS = ["--days", "2018-03-01", "2018-05-20"]


@pytest.fixture
def words(market_folder, tmp_path):
    """Words of a run of the tiny model on walks; `more` come last."""

    def build(*more: str, output: str = "out") -> list[str]:
        recipe = tmp_path / "live.yaml"
        shown = {"past_returns": 2, "indicators": []}
        recipe.write_text(yaml.safe_dump({"scheme": "all_in", "fill": "same_close", "commission_bps": 5, **shown}))
        given = ["--config", str(recipe), "--model_name_or_path", str(market_folder / "model")]
        given += ["--data", str(market_folder / "data"), "--symbols", "AAA", "BBB", "--num_trainable_layers", "2"]
        return [*given, *DAYS, "--use_cpu", "true", "--output_dir", str(tmp_path / output), *more]

    return build


def test_a_run_is_simulated_told_and_recomputed(words, tmp_path, capsys):
    assert simulate.main(words("--sampled", "true")) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "untrained trades AAA, BBB, 2018-03-01 to 2018-05-20" in said
    assert re.search(r"ended: equity [\d,.]+ after 80 bars, .* Sharpe", said)
    assert "160 decisions in" in said and "the policy took" in said
    assert replay.main([str(tmp_path / "out")]) == 0
    assert "160 decisions recomputed: observation hashes equal" in " ".join(capsys.readouterr().out.split())
    with pytest.raises(SystemExit, match="--resume true, or give another --output_dir"):
        simulate.main(words())


def test_going_on_under_other_settings_is_refused(words, capsys):
    simulate.main(words())
    with pytest.raises(SystemExit, match="policy.seed 42 there, 1 here; seed 42 there, 1 here"):
        simulate.main(words("--resume", "true", "--seed", "1"))
    assert simulate.main(words("--resume", "true")) == 0
    assert "goes on with" in capsys.readouterr().out


def test_a_trained_agent_trades_and_a_changed_one_is_not_replayed(words, tmp_path, tiny_policy):
    from flag_trl.agent import Agent
    from flag_trl.observations import ObservationConfig

    agent = Agent(tiny_policy(), ObservationConfig(past_returns=2, indicators=[]))
    agent.policy.base_model = str(words()[3])
    agent.save(tmp_path / "agent")
    simulate.main(words("--policy", str(tmp_path / "agent")))
    assert replay.main([str(tmp_path / "out")]) == 0
    settings = tmp_path / "agent" / "agent.json"
    settings.write_text(settings.read_text() + " ")
    with pytest.raises(SystemExit, match="its files have changed"):
        replay.main([str(tmp_path / "out")])


@pytest.mark.parametrize("name", ["buy_and_hold", "cash"])
def test_rules_trade_too(words, tmp_path, name):
    assert simulate.main(words("--policy", name)) == 0
    with Journal(journal_path(tmp_path / "out"), read_only=True) as journal:
        assert sum(1 for _ in journal.rows("fills")) == (2 if name == "buy_and_hold" else 0)
    assert replay.main([str(tmp_path / "out")]) == 0


def test_a_run_of_one_bar_has_no_figures_and_says_so(words, capsys):
    day = words()[words().index("--days") + 2]
    assert simulate.main(words("--policy", "buy_and_hold", "--days", day, day)) == 0
    said = capsys.readouterr().out
    assert "ended: equity 100,000.00, before a second bar had closed" in " ".join(said.split()) and "nan" not in said


def test_a_limit_that_stops_the_run_is_its_exit_status(words, capsys):
    assert simulate.main(words("--policy", "buy_and_hold", "--max_drawdown", "0.01", "--at_stop", "flatten")) == 3
    assert "max_drawdown" in " ".join(capsys.readouterr().out.split())


def test_paper_without_a_venue_replays_the_days(words, tmp_path, capsys):
    assert paper.main(words("--policy", "buy_and_hold", "--speed", "1e9x")) == 0
    assert "names no venue" in capsys.readouterr().out


def _has_traded(journal: Path) -> bool:
    try:
        with Journal(journal, read_only=True) as found:
            return any(True for _ in found.rows("fills"))
    except (FileNotFoundError, JournalError):
        return False  # It has not been begun yet.


def test_a_run_in_another_process_is_stopped_and_goes_on(words, tmp_path):
    command = [sys.executable, "-m", "flag_trl.scripts.simulate", *words("--policy", "buy_and_hold")]
    running = subprocess.Popen([*command, "--speed", "86400x"], cwd=REPOSITORY, stdout=subprocess.DEVNULL)
    journal = journal_path(tmp_path / "out")
    try:
        until = time.monotonic() + 120
        while time.monotonic() < until and running.poll() is None and not _has_traded(journal):
            time.sleep(0.2)
        assert stop.main([str(tmp_path / "out")]) == 0
        assert running.wait(timeout=60) == 3
    finally:
        if running.poll() is None:
            os.kill(running.pid, signal.SIGKILL)
    assert stop.main([str(tmp_path / "out")]) == 1
    with Journal(journal, read_only=True) as found:
        assert found.runs()[-1]["how"] == "stopped: signal SIGTERM"
    assert simulate.main([*words("--policy", "buy_and_hold"), "--resume", "true"]) == 0
    with Journal(journal, read_only=True) as found:
        assert sum(1 for _ in found.rows("totals")) == 81


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--days", "2018-03-01"], "give the first and the last day"),
        (["--days", "2017-01-01", "2018-05-20"], "reaches outside the data"),
        (["--close_at_end", "true"], "close_at_end"),
        (["--lot_size", "0.5"], "lot_size: 0.5"),
        (["--max_loss", "-1"], "max_loss: -1"),
        (["--speed", "fast"], "speed: 'fast'"),
        (["--policy", "outputs/none"], "holds no trained agent"),
        (["--borrow_rate", "0.1"], "borrow_rate"),
        (["--fill", "next_open"], "has closes but no opens"),
    ],
)
def test_what_is_wrong_is_said_before_anything_is_traded(words, more, message, tmp_path):
    with pytest.raises((SystemExit, ValueError, FileNotFoundError), match=message):
        simulate.main(words(*more))
    assert not list(tmp_path.glob("out/*.sqlite"))


def test_a_key_in_a_recipe_gets_into_no_journal(words, tmp_path):
    given, recipe = words(), tmp_path / "live.yaml"
    plain = recipe.read_text()
    recipe.write_text(plain + "venue: {client: X, settings: {api_key: abc}}\nforeign_adapter: true\n")
    with pytest.raises(SystemExit, match="a recipe cannot allow it"):
        simulate.main(given)
    recipe.write_text(plain + "venue: {client: X, settings: {api_key: abc}}\n")
    with pytest.raises(SystemExit, match="missing: bar"):
        simulate.main(given)
    assert not list(tmp_path.glob("out/*"))


def test_speeds():
    assert speed_of(None) is None and speed_of("60x") == 60.0 and speed_of("0.5") == 0.5
    for wrong in ("0x", "-1", "inf", "nanx"):
        with pytest.raises(SystemExit, match="such as 60x"):
            speed_of(wrong)


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_the_shipped_recipes_are_what_their_first_line_says(recipe: Path):
    from flag_trl.scripts.live_recipe import days_of, read_live_recipe, settings_of

    first = recipe.read_text().splitlines()[0]
    command = re.fullmatch(r"# flag-trl (simulate|paper) (.*)", first)
    assert command and f"--config recipes/live/{recipe.name}" in command[2]
    words = [word if word != f"recipes/live/{recipe.name}" else str(recipe) for word in command[2].split()]
    words = [str(REPOSITORY) if word == "FOLDER" else word for word in words]
    read = read_live_recipe([*words, "--use_cpu", "true"])
    settings_of(read)
    if not read.extra.venue:
        days_of(read)
    assert read.market.notes
