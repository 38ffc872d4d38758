"""A study trains each seed once, goes on where it was killed, and its figures are those of the books."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from eval.study import __main__ as study
from eval.study.judgement import judge
from eval.study.play import EQUITY, HOLD, RECORD, SETTINGS, Run, books
from eval.study.tables import markdown
from flag_trl.backtest import measures
from flag_trl.metrics import sharpe_difference, sharpe_interval, sharpe_ratio

RECIPE = """
data: {folder}/data
symbols: [{symbol}]
unseen_symbols: [{unseen}]
train_period: [2019-06-03, 2020-03-10]
test_periods:
  later: [2020-04-01, 2020-06-30]
scheme: signed
fill: same_close
model_name_or_path: {folder}/model
use_cpu: true
trunk_cache_dir: {folder}/cache
episode_length: 20
num_trainable_layers: 2
past_returns: 2
indicators: [volatility20]
per_device_train_batch_size: 2
num_generations: 2
max_steps: 9
save_strategy: steps
save_steps: 1
"""
STUDY = """
recipes: [first.yaml, second.yaml]
seeds: 2
overrides:
  learning_rate: 0.01
  indicators: [volatility20, momentum20]
costs_bps: [0, 20]
jobs: 2
"""


@pytest.fixture(scope="module")
def study_folder(market_folder: Path, tmp_path_factory) -> Path:
    """A folder with two recipes and a study of them that has been run."""
    folder = tmp_path_factory.mktemp("study_folder")
    for name, symbol, unseen in (("first", "AAA", ""), ("second", "BBB", "CCC")):
        text = RECIPE.format(folder=market_folder, symbol=symbol, unseen=unseen)
        (folder / f"{name}.yaml").write_text(text)
    (folder / "study.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        study.main(["--config", "study.yaml"])
    return folder


@pytest.fixture
def here(study_folder: Path, monkeypatch) -> Path:
    monkeypatch.chdir(study_folder)
    return Path("outputs/study")


def runs_of(words: list[str]) -> list[Run]:
    options, others = study.parse(words)
    return study.plan(options, others)


def test_each_seed_is_run_once_and_found_again(here: Path, capsys) -> None:
    runs = runs_of(["--config", "study.yaml"])
    assert [run.name for run in runs[:2]] == ["first, untrained", "second, untrained"] and len(runs) == 6
    times = {run: (run.folder / RECORD).stat().st_mtime_ns for run in runs}
    before = (here / "tables.md").read_text()
    study.main(["--config", "study.yaml"])
    assert {run: (run.folder / RECORD).stat().st_mtime_ns for run in runs} == times
    assert (here / "tables.md").read_text() == before
    assert "first, untrained" not in capsys.readouterr().err
    assert not list(here.glob("*/*/checkpoint-*"))
    assert {file.name for file in here.iterdir()} >= {"results.json", "tables.md", "study.png", "report.html"}


def test_each_run_s_settings_name_its_own_data(here: Path) -> None:
    for run in runs_of(["--config", "study.yaml"]):
        names = {"first": {"AAA"}, "second": {"BBB", "CCC"}}[run.recipe]
        assert set(json.loads((run.folder / SETTINGS).read_text())["data"]) == names


def test_a_recipe_more_leaves_the_others_alone(here: Path) -> None:
    Path("third.yaml").write_text(Path("first.yaml").read_text().replace("[AAA]", "[CCC]"))
    words = ["--config", "study.yaml", "--recipes", "third.yaml", "second.yaml", "first.yaml"]
    options, others = study.parse(words)
    for run in [run for run in study.plan(options, others) if run.done]:
        recipe = study.read_recipe(run.command_line)
        study.claim(run, recipe, recipe.markets(unseen=True))


def test_two_recipes_on_one_symbol_stay_apart(here: Path) -> None:
    runs = [run for run in runs_of(["--config", "study.yaml"]) if run.recipe == "first"]
    recipe = study.read_recipe(runs[0].command_line)
    found = [books(run, recipe) for run in runs]
    result = judge({"one": recipe, "other": recipe}, {"one": found, "other": found})
    assert result.figures["groups"] == ["one, AAA", "other, AAA"]
    assert markdown(result).count("| trained, 2 seeds") == 2


def test_an_interrupted_study_begins_no_other_run(here: Path) -> None:
    words = [sys.executable, "-m", "eval.study", "--config", "study.yaml", "--output_dir", "outputs/stopped"]
    process = subprocess.Popen([*words, "--jobs", "1"], start_new_session=True, stderr=subprocess.DEVNULL)
    while not (Path("outputs/stopped/first/untrained") / "log.txt").is_file() and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(60) != 0
    assert not (Path("outputs/stopped/second/untrained") / "log.txt").exists()


def test_its_page_opens_without_a_network_and_shows_every_group(here: Path, browser) -> None:
    page = browser.new_context(offline=True).new_page()
    troubles: list[str] = []
    page.on("console", lambda message: troubles.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto((here / "report.html").absolute().as_uri())
    page.get_by_role("tab", name="Over seeds").click()
    page.wait_for_selector("#plot-study-5 .main-svg")
    shown = page.inner_text("#study")
    assert all(group in shown for group in ("AAA, later", "BBB, later", "second, unseen symbols, later", "all, later"))
    assert not troubles
    page.close()


def test_a_seed_more_leaves_the_others_alone(here: Path) -> None:
    folder = here / "first" / "seed-1"
    before = (folder / RECORD).stat().st_mtime_ns
    study.main(["--config", "study.yaml", "--seeds", "3"])
    assert (folder / RECORD).stat().st_mtime_ns == before
    table = pd.read_parquet(here / "measures.parquet")
    assert set(table.loc[table["strategy"] == "trained", "runs"]) == {3}


def test_a_run_under_other_settings_is_refused_by_name(here: Path) -> None:
    with pytest.raises(
        SystemExit, match=r"outputs/study/first/untrained holds a run under other settings \(training\)"
    ):
        study.main(["--config", "study.yaml", "--max_steps", "4"])


@pytest.mark.parametrize(
    "change, message",
    [
        ("seeds: 0", "at least one seed"),
        ("recipes: [first.yaml, ./first.yaml]", "two files have one name"),
        ("learning_rate: 0.1", "learning_rate is no option of a study"),
        ("recipes: [fourth.yaml]", "no recipe at fourth.yaml"),
    ],
)
def test_what_is_wrong_in_a_study_is_named_before_the_work_starts(change: str, message: str, here: Path) -> None:
    key = change.split(":")[0]
    lines = [line for line in STUDY.splitlines() if not line.startswith(f"{key}:")]
    Path("odd.yaml").write_text("\n".join([*lines, change]))
    with pytest.raises(SystemExit, match=message):
        study.main(["--config", "odd.yaml"])
    assert not Path("outputs/odd").exists()


def test_one_seed_is_no_option_of_a_study(here: Path) -> None:
    with pytest.raises(SystemExit, match="--seed: a study counts its seeds from 0; say how many with --seeds"):
        study.parse(["--config", "study.yaml", "--seed", "1"])


def test_a_failed_run_is_named_with_its_log(here: Path) -> None:
    with pytest.raises(SystemExit, match=r"first, untrained failed .* is in outputs/failed/first/untrained/log.txt"):
        study.main(["--config", "study.yaml", "--output_dir", "outputs/failed", "--num_trainable_layers", "99"])
    assert "Traceback" in (Path("outputs/failed/first/untrained") / "log.txt").read_text()


def test_a_killed_study_goes_on_from_its_checkpoints_to_the_same_books(here: Path) -> None:
    words = [sys.executable, "-m", "eval.study", "--config", "study.yaml", "--output_dir", "outputs/killed"]
    process = subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    folder = Path("outputs/killed/first/seed-0")
    deadline = time.monotonic() + 120
    while not list(folder.glob("checkpoint-*/trainer_state.json")) and time.monotonic() < deadline:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert not (folder / RECORD).exists()
    study.main(["--config", "study.yaml", "--output_dir", "outputs/killed"])
    for run in runs_of(["--config", "study.yaml"]):
        again = Path("outputs/killed") / run.recipe / run.folder.name / EQUITY
        pd.testing.assert_frame_equal(pd.read_parquet(again), pd.read_parquet(run.folder / EQUITY))


def test_figures_are_those_of_the_accounts(here: Path) -> None:
    runs = runs_of(["--config", "study.yaml"])
    recipes = {run.recipe: study.read_recipe(run.command_line) for run in runs}
    found = {name: [books(run, recipes[name]) for run in runs if run.recipe == name] for name in recipes}
    result = judge(recipes, found)
    table = result.tables["measures"].set_index(["group", "convention", "cost_bps", "strategy"])
    assert result.figures["groups"] == ["AAA", "BBB", "second, unseen symbols", "all"]
    # One symbol: what the backtest's own measures say of each account, averaged over seeds.
    for cost in (0.0, 20.0):
        each = [measures(of["trained", "later", cost][0])["standard"] for of in found["first"][1:]]
        row = table.loc[("AAA", "standard", cost, "trained")]
        # A seed that never trades has no Sharpe ratio; it counts as 0.
        expected = {key: np.mean([one[key] or 0.0 for one in each]) for key in ("CR", "SR", "AV", "MDD")}
        assert all(row[key] == pytest.approx(expected[key]) for key in expected)
    (held,) = [one for one in found["second"][0][HOLD, "later", 0.0] if one.symbol == "CCC"]
    bench = measures(held)["investorbench"]
    row = table.loc[("second, unseen symbols", "investorbench", 0.0, HOLD)]
    assert all(row[key] == pytest.approx(bench[key]) for key in ("CR", "SR", "AV", "MDD"))
    # All symbols: the equal-weight portfolio of each seed's accounts, seeds side by side in the test.
    pools = [
        np.mean([found[name][seed]["trained", "later", 20.0][0].returns for name in ("first", "second")], axis=0)
        for seed in (1, 2)
    ]
    held_pool = np.mean([found[name][0][HOLD, "later", 20.0][0].returns for name in ("first", "second")], axis=0)
    compared = result.tables["comparisons"].set_index(["group", "convention", "cost_bps", "less", "measure"])
    row = compared.loc[("all", "standard", 20.0, HOLD, "Sharpe ratio")]
    expected = sharpe_difference(np.column_stack(pools), np.column_stack([held_pool, held_pool]))
    assert tuple(row[["difference", "low", "high"]]) == pytest.approx(expected.interval)
    assert row["deviation_over_runs"] == pytest.approx(np.std(np.nan_to_num([sharpe_ratio(p) for p in pools]), ddof=1))


def test_always_long_is_not_mistaken_for_skill(here: Path) -> None:
    runs = [run for run in runs_of(["--config", "study.yaml"]) if run.recipe == "first"]
    recipes = {"first": study.read_recipe(runs[0].command_line)}
    (untrained,) = [books(run, recipes["first"]) for run in runs if run.seed is None]
    long = {("trained", *key[1:]): ledgers for key, ledgers in untrained.items() if key[0] == HOLD}
    result = judge(recipes, {"first": [untrained, long, long]})
    rows = result.tables["comparisons"].set_index(["convention", "cost_bps", "less"])
    assert (rows.xs(HOLD, level="less")["difference"] == 0).all()
    constant = rows.xs("constant_position", level="less")
    assert constant.loc[("investorbench", 0.0), "difference"] == pytest.approx(0, abs=1e-9)
    assert constant.loc[("standard", 20.0), "difference"] < 0
    assert "It is always long by another name" in " ".join(result.words)


def test_runs_that_are_alike_have_the_interval_of_one() -> None:
    returns = np.random.default_rng(3).normal(5e-4, 0.01, 200)
    alone = sharpe_interval(returns, draws=200)
    assert sharpe_interval(np.column_stack([returns] * 3), draws=200) == pytest.approx(alone)
    beside_idle = sharpe_interval(np.column_stack([returns, np.zeros(200)]), draws=200)
    assert beside_idle == pytest.approx(np.array(alone) / 2)
