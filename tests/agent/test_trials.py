"""Configurations tried are counted where they were tried, and the count travels with the adapter."""

import json

from flag_trl.agent import carry_trials, count_trials, record_trial


def test_each_configuration_counts_once_whatever_the_seed_and_other_symbols_do_not(tmp_path) -> None:
    for name, rate, symbols, seed in [
        ("a", 1e-4, ["MSFT"], 0),
        ("b", 1e-4, ["MSFT"], 1),
        ("c", 3e-4, ["MSFT", "JNJ"], 0),
        ("d", 9e-4, ["KO"], 0),
    ]:
        record_trial(tmp_path / name, {"learning_rate": rate, "symbols": symbols[:1]}, symbols, seed)
    (tmp_path / "c").mkdir()
    carry_trials(tmp_path / "c", ["MSFT"])
    assert count_trials(tmp_path / "c") == 2
    lines = [json.loads(line) for line in (tmp_path / "c" / "trials.jsonl").read_text().splitlines()]
    assert [line["output"] for line in lines] == ["a", "b", "c"]


def test_the_ledger_is_only_added_to_and_outlives_a_removed_run(tmp_path) -> None:
    record_trial(tmp_path / "a", {"x": 1}, ["MSFT"], 0)
    first = (tmp_path / "trials.jsonl").read_text()
    record_trial(tmp_path / "a", {"x": 2}, ["MSFT"], 0)
    assert (tmp_path / "trials.jsonl").read_text().startswith(first)


def test_without_a_ledger_there_was_one(tmp_path) -> None:
    assert count_trials(tmp_path) == 1
    (tmp_path / "a").mkdir()
    carry_trials(tmp_path / "a", ["MSFT"])
    assert not (tmp_path / "a" / "trials.jsonl").exists()
