"""From the command line to results and report, on a tiny model trained by the package's own command."""

import json
from pathlib import Path

import pandas as pd
import pytest

from eval import run
from eval.arguments import TASKS
from flag_trl.agent import Agent
from flag_trl.scripts import train

SHARED = """
data: {folder}/data
symbols: [AAA]
train_period: [2019-06-03, 2020-03-10]
test_periods:
  later: [2020-04-01, 2020-06-30]
scheme: all_in
fill: same_close
commission_bps: 5
model_name_or_path: {folder}/model
use_cpu: true
trunk_cache_dir: {folder}/cache
"""
TRAINING = """
episode_length: 20
num_trainable_layers: 2
past_returns: 2
indicators: [volatility20]
per_device_train_batch_size: 2
num_generations: 2
max_steps: 2
learning_rate: 0.01
"""
JUDGING = """
transfer_symbols: [AAA, BBB, CCC]
sampled: 2
random_draws: 20
audit_days: 10
mlp_steps: 600
"""


@pytest.fixture(scope="module")
def judged_folder(market_folder: Path, tmp_path_factory) -> Path:
    """A folder with a trained agent and a recipe of its evaluation."""
    folder = tmp_path_factory.mktemp("judged_folder")
    (folder / "train.yaml").write_text((SHARED + TRAINING).format(folder=market_folder))
    (folder / "judge.yaml").write_text((SHARED + JUDGING).format(folder=market_folder))
    train.main(["--config", str(folder / "train.yaml"), "--output_dir", str(folder / "outputs" / "train")])
    return folder


@pytest.fixture
def trained(judged_folder: Path, monkeypatch) -> list[str]:
    """The arguments that name them, from their folder."""
    monkeypatch.chdir(judged_folder)
    return ["--config", "judge.yaml", "--policy", "outputs/train"]


def test_every_task_is_run_once_and_found_again(trained: list[str], capsys) -> None:
    run.main(trained)
    folder = Path("outputs/judge")
    results = json.loads((folder / "results.json").read_text())
    assert set(results["tasks"]) == set(TASKS) and results["symbols"] == ["AAA"]
    assert {file.stem for file in (folder / "trading").glob("*.parquet")} == {
        "comparisons",
        "draws",
        "equity",
        "measures",
    }
    strategies = set(pd.read_parquet(folder / "trading" / "measures.parquet")["strategy"])
    assert {"trained", "untrained", "mlp_ppo", "momentum"} <= strategies
    forecasters = set(pd.read_parquet(folder / "risk" / "scores.parquet")["forecaster"])
    assert {"trained, probe", "untrained, asked", "GARCH(1,1)"} <= forecasters
    assert "<h2>Risk forecasting</h2>" in (folder / "report.html").read_text()
    (answer,) = [a for a in results["tasks"]["audit"]["figures"]["answers"] if a["key"] == "looks_ahead"]
    assert answer["verdict"] == "passed"
    times = {name: (folder / name / "result.json").stat().st_mtime_ns for name in TASKS}
    capsys.readouterr()
    run.main([*trained, "--event_bars", "3"])
    assert capsys.readouterr().out.count("found by an earlier run") == len(TASKS) - 1
    again = {name for name in TASKS if (folder / name / "result.json").stat().st_mtime_ns > times[name]}
    assert again == {"events"}
    run.main([*trained, "--event_bars", "3", "--tasks", "events"])
    assert set(json.loads((folder / "results.json").read_text())["tasks"]) == set(TASKS)


def test_the_untrained_model_is_the_agent_before_its_training(trained: list[str]) -> None:
    agents = [Agent.from_pretrained("outputs/train", trained=trained_) for trained_ in (True, False)]
    before = Agent.from_pretrained("outputs/train").policy
    weights = [dict(agent.policy.named_parameters()) for agent in agents]
    moved = {name for name in weights[0] if not (weights[0][name] == weights[1][name]).all()}
    assert moved and moved <= set(before.trainable_names)


@pytest.mark.parametrize(
    "words, message",
    [
        (["--policy", "nowhere"], "nowhere holds no trained agent"),
        (["--tasks", "tradng"], "there is no tradng; choose among trading"),
        (["--period", "sooner"], "no test period sooner"),
        (["--chat_url", "http://localhost:1/v1"], "chat_model"),
        (["--symbols", "ZZZ"], "has no ZZZ.csv or .parquet"),
    ],
)
def test_what_is_missing_is_named_before_the_work_starts(words: list[str], message: str, trained: list[str]) -> None:
    with pytest.raises(SystemExit, match=message):
        run.main([*trained, "--output_dir", "outputs/nothing", *words])
    assert not Path("outputs/nothing").exists()
