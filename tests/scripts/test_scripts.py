"""The entry points from the command line to the files they write, on a tiny model and a CSV of a random walk."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from flag_trl.scripts import backtest, convert_gguf, demo, show_prompt, train

RECIPE = """
data: {folder}/prices.csv
symbols: [AAA]
train_period: [2020-01-20, 2020-03-10]
validation_period: [2020-03-11, 2020-03-31]
test_periods:
  paper_window: [2020-04-01, 2020-05-10]
  later: [2020-05-11, 2020-07-10]
episode_length: 5
scheme: all_in
fill: same_close
commission_bps: 5
model_name_or_path: {folder}/model
num_trainable_layers: 2
past_returns: 2
indicators: [volatility20]
per_device_train_batch_size: 2
num_generations: 2
max_steps: 3
eval_strategy: steps
eval_steps: 1
save_strategy: steps
save_steps: 1
load_best_model_at_end: true
use_cpu: true
"""


@pytest.fixture
def recipe(tiny_model, tokenizer: PreTrainedTokenizerFast, tmp_path, monkeypatch) -> list[str]:
    """A folder with a model, prices and a recipe, and the arguments that name it."""
    model: PreTrainedModel = tiny_model()
    model.save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    dates = np.datetime64("2020-01-01") + np.arange(200)
    close = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, 200)))
    pd.DataFrame({"date": dates, "close": close}).to_csv(tmp_path / "prices.csv", index=False)
    (tmp_path / "walk.yaml").write_text(RECIPE.format(folder=tmp_path))
    monkeypatch.chdir(tmp_path)
    return ["--config", str(tmp_path / "walk.yaml")]


def test_train_then_backtest_leave_what_the_readme_promises(recipe, capsys) -> None:
    train.main(recipe)
    run = Path("outputs/walk")
    assert {"agent.json", "policy.json", "policy.safetensors", "trainer_state.json"} <= {f.name for f in run.iterdir()}
    backtest.main([*recipe, "--period", "later"])
    assert "AAA, later" in capsys.readouterr().out
    written = {file.name for file in (run / "backtest" / "AAA-later").iterdir()}
    assert written == {"trades.parquet", "equity.parquet", "metrics.json", "backtest.png"}
    assert not (run / "backtest" / "AAA-paper_window").exists()


def test_a_finished_run_is_neither_overwritten_nor_resumed_unasked(recipe, capsys) -> None:
    train.main(recipe)
    with pytest.raises(
        SystemExit, match="checkpoints of an earlier run, the last is checkpoint-3.*resume_from_checkpoint"
    ):
        train.main(recipe)
    train.main([*recipe, "--resume_from_checkpoint", "auto", "--max_steps", "4"])
    assert Path("outputs/walk/checkpoint-4").is_dir()
    train.main([*recipe, "--resume_from_checkpoint", "auto", "--output_dir", "outputs/elsewhere"])
    assert "outputs/elsewhere holds no checkpoint: from the beginning" in capsys.readouterr().err
    assert Path("outputs/elsewhere/checkpoint-3").is_dir()


def test_the_demo_clears_its_own_run_and_no_other(recipe) -> None:
    train.main(recipe)
    with pytest.raises(SystemExit, match="outputs/walk holds a run that is not the demo's"):
        demo.main(recipe)
    assert Path("outputs/walk/policy.safetensors").is_file()
    own = [*recipe, "--output_dir", "outputs/own"]
    demo.main(own)
    Path("outputs/own/notes.txt").write_text("mine")
    demo.main(own)
    assert Path("outputs/own/notes.txt").read_text() == "mine" and Path("outputs/own/results.json").is_file()


def test_an_agent_is_not_tested_under_rules_it_was_not_trained_for(recipe) -> None:
    train.main(recipe)
    with pytest.raises(SystemExit, match="trained with scheme all_in .* the recipe has signed"):
        backtest.main([*recipe, "--scheme", "signed"])


def test_test_days_that_were_trained_on_are_told(recipe, capsys) -> None:
    train.main(recipe)
    text = Path("walk.yaml").read_text()
    Path("late.yaml").write_text(
        text.replace("[2020-01-20, 2020-03-10]", "[2020-01-20, 2020-02-10]")
        .replace("later: [2020-05-11", "later: [2020-03-02")
        .replace("paper_window: [2020-04-01, 2020-05-10]", "")
        .replace("validation_period: [2020-03-11, 2020-03-31]", "validation_period: [2020-02-11, 2020-03-01]")
    )
    backtest.main(["--config", "late.yaml", "--policy", "outputs/walk"])
    assert "WARNING: later holds days up to 2020-03-10 of its training" in capsys.readouterr().out


def test_the_demo_writes_its_results_in_the_agreed_form(recipe, capsys) -> None:
    demo.main(recipe)
    results = json.loads(Path("outputs/walk/results.json").read_text())
    assert set(results["periods"]) == {"paper_window", "later"}
    for policies in results["periods"].values():
        assert set(policies) == {"trained", "untrained", "buy_and_hold", "cash", "random"}
        for found in policies.values():
            assert {"CR", "SR", "AV", "MDD"} == set(found["investorbench"])
            assert {"CR", "SR", "AV", "MDD", "win_rate_days", "win_rate_trades"} <= set(found["standard"])
        assert policies["cash"]["standard"]["SR"] is None
    assert results["wall_s"] > 0 and results["peak_rss_mb"] > 0
    shown = capsys.readouterr().out
    assert "The trained policy ended at" in shown and "Mean log return an episode" in shown


def test_show_prompt_prints_the_prompt_and_counts_its_tokens(recipe, capsys) -> None:
    show_prompt.main([*recipe, "--date", "2020-04-14", "--position", "long"])
    shown = capsys.readouterr().out
    assert "Position: long. Allowed: sell, hold." in shown and "tokens: task" in shown
    with pytest.raises(SystemExit, match="no account is short under all_in"):
        show_prompt.main([*recipe, "--position", "short"])


@pytest.mark.parametrize("untrained", [True, False])
def test_a_backtest_says_whose_it_is(untrained, recipe, capsys) -> None:
    if untrained:
        backtest.main([*recipe, "--policy", "untrained", "--period", "later"])
        assert "The untrained policy ended at" in capsys.readouterr().out
    else:
        with pytest.raises(FileNotFoundError, match="outputs/walk holds no trained agent"):
            backtest.main(recipe)


def test_convert_gguf_answers_a_taken_folder_with_a_sentence(tmp_path) -> None:
    (tmp_path / "weights.gguf").touch()
    with pytest.raises(SystemExit, match="exists already"):
        convert_gguf.main(["--gguf", str(tmp_path / "weights.gguf"), "--output", str(tmp_path)])
