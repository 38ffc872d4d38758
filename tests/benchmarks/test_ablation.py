"""The observation ablation runs from data to table, reads what is finished, and says what was asked for."""

import json

import numpy as np
import pytest

from benchmarks import cache_budget, observation_ablation
from benchmarks.ablation_report import report

DAYS = np.datetime64("2020-01-01") + np.arange(500)


@pytest.fixture
def folder(tmp_path, tiny_model, tokenizer):
    """A tiny model, and MSFT as a random walk with a text a day and a filing."""
    tiny_model(layers=7, max_position_embeddings=1024).save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    close = 100 * np.exp(np.cumsum(np.random.default_rng(0).normal(0, 0.02, 500)))
    days = {str(day): {"prices": price, "news": ["up"]} for day, price in zip(DAYS, close.tolist(), strict=True)}
    days["2020-02-03"]["10k"] = ["Revenue rose 5%."]
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "msft.json").write_text(json.dumps(days))
    return tmp_path


def test_each_variant_is_trained_tested_and_compared_with_prices(folder, monkeypatch, capsys) -> None:
    monkeypatch.setattr(observation_ablation, "MAX_TOKENS", 1000)
    words = [
        "--investor-bench",
        str(folder / "data"),
        "--model",
        str(folder / "model"),
        "--seeds",
        "1",
        "--steps",
        "2",
    ]
    words += ["--folder", str(folder / "runs"), "--json", str(folder / "found.json"), "--variants"]
    observation_ablation.main([*words, "prices", "soft"])
    found = json.loads((folder / "found.json").read_text())
    assert [(run["variant"], run["seed"]) for run in found["runs"]] == [("prices", 0), ("soft", 0)]
    assert len(found["runs"][0]["returns"]["test"]) == 216
    assert all(0 <= run["turnover"]["test"] <= 2 for run in found["runs"])
    shown = capsys.readouterr()
    assert "msft, test, 216 days" in shown.out and "survivorship" in shown.out and "2 runs" in shown.out
    observation_ablation.main([*words, "prices", "soft"])
    again = json.loads((folder / "found.json").read_text())
    assert again["runs"] == found["runs"] and capsys.readouterr().err.count(": read;") == 2


def test_differences_are_to_prices_paired_by_seed_and_a_run_that_never_trades_counts_as_zero() -> None:
    rng = np.random.default_rng(0)
    hold = rng.normal(0.0005, 0.01, 100)

    def run(variant: str, seed: int, returns: np.ndarray, sharpe: float | None) -> dict:
        groups = {"train": hold.tolist(), "validation": hold.tolist(), "test": returns.tolist()}
        return {
            "market": "msft",
            "variant": variant,
            "seed": seed,
            "returns": groups,
            "hold": groups,
            "sharpe": {"train": 1.0, "validation": 1.0, "test": sharpe},
            "mean_weight": {"test": 0.5},
            "turnover": {"test": 0.1},
            "tokens": {"mean": 50.0, "most": 60},
            "seconds": 1.0,
        }

    runs = [run("prices", s, hold * (1 + s), 0.8) for s in (0, 1)]
    runs += [run("news", 0, hold + 0.001, 2.0), run("news", 1, np.zeros(100), None)]
    rows = {row["variant"]: row for row in report(runs)}
    ratio = np.sqrt(252) * np.array([(hold + 0.001).mean(), hold.mean()]) / hold.std(ddof=1)
    difference, low, high = rows["news"]["difference"]
    assert difference == pytest.approx(ratio[0] / 2 - ratio[1]) and low < difference < high
    assert rows["prices"]["difference"] is None and rows["news"]["sharpe"]["test"] == 1.0
    assert rows["prices"]["versus_hold"][0] == pytest.approx(0.0)


def test_a_third_of_the_working_set_in_memory_finds_all_states(folder) -> None:
    given = ["--data", str(folder / "data"), "--model", str(folder / "model"), "--windows", "3", "--epochs", "2"]
    cache_budget.main([*given, "--json", str(folder / "cache.json")])
    rows = json.loads((folder / "cache.json").read_text())["rows"]
    whole, third = rows["all in memory"], rows["third"]
    assert third["kept_mb"] <= whole["kept_mb"] / 3
    assert whole["asked"] == third["asked"] > 50
    assert whole["hit_rate"] == third["hit_rate"] == whole["memory_rate"] == 1.0
    assert 0.1 < third["memory_rate"] < 0.9
