"""Who watches a training sees decisions: on which day, from what, how likely, and what they brought."""

import json

import numpy as np
import pytest

from flag_trl.trainer.decisions import TEXT_LENGTH, TITLE, _markdown, sample
from flag_trl.trainer.exact import transitions


def shown(trainer, count: int):
    trajectory, windows, advantages = trainer._collector.last
    return sample(trajectory, advantages(), windows, trainer.markets, trainer.rules.scheme.actions, count)


def test_a_table_holds_what_the_rollout_did(make_trainer) -> None:
    trainer = make_trainer(max_steps=1)
    trainer.train()
    trajectory, windows, advantages = trainer._collector.last
    market, names = trainer.markets["AAA"], trainer.rules.scheme.actions
    every = shown(trainer, trajectory.active.size)
    assert len(every) == trajectory.active.sum() == len(advantages())
    for row, (t, n), advantage in zip(every, np.argwhere(trajectory.active), advantages(), strict=True):
        assert row.date == str(market.dates[windows[n].start + t]) and row.symbol == "AAA"
        assert row.action == names[trajectory.actions[t, n]]
        assert row.reward == trajectory.rewards[t, n] and row.advantage == advantage
        likely = dict(word.split() for word in row.probabilities.split(", "))
        assert float(likely[row.action]) == pytest.approx(
            trajectory.probabilities[t, n, names.index(row.action)], abs=0.006
        )
        assert row.account.startswith("Position: ") and row.market and len(row.market) <= TEXT_LENGTH
    few = shown(trainer, 3)
    assert [few[0], few[-1]] == [every[0], every[-1]] and len(few) == 3


def test_with_exact_advantages_a_decision_shows_that_of_its_action(make_trainer) -> None:
    trainer = make_trainer(max_steps=1, baseline="exact")
    trainer.train()
    trajectory, windows, advantages = trainer._collector.last
    moves = transitions(trainer.rules, trainer.markets, windows[0])
    # On a window's last day an advantage is the reward less the mean reward that the policy expects.
    last = len(trajectory.active) - 1
    held = trajectory.observations[last][0].account_text.removeprefix("Position: ").rstrip(".")
    x = trainer.rules.scheme.positions.index({"flat": 0, "long": 1}[held])
    probabilities, action = trajectory.probabilities[last, 0], trajectory.actions[last, 0]
    expected = moves.rewards[last, x, action] - probabilities @ np.nan_to_num(moves.rewards[last, x])
    assert advantages()[int(trajectory.active[:last].sum())] == pytest.approx(expected, abs=1e-9)


def test_where_rollouts_are_used_again_a_table_comes_with_the_next_one(make_trainer, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    sent = []
    monkeypatch.setattr("flag_trl.trainer.decisions._send", lambda table, trackers, callbacks, step: sent.append(step))
    options = {"loss_type": "ppo", "num_ppo_epochs": 3, "max_steps": 12, "per_device_train_batch_size": 1}
    make_trainer(report_to=["tensorboard"], decisions_steps=4, **options).train()
    assert sent == [0, 6, 9]


def test_tensorboard_shows_the_table_every_so_many_updates(make_trainer, monkeypatch, tmp_path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    trainer = make_trainer(max_steps=5, report_to=["tensorboard"], decisions_steps=2, num_decisions=3)
    trainer.train()
    read = accumulator.EventAccumulator(str(tmp_path / "board")).Reload()
    events = read.Tensors(f"{TITLE}/text_summary")
    assert [event.step for event in events] == [0, 2, 4]
    head, rule, *rows = events[-1].tensor_proto.string_val[0].decode().splitlines()
    assert head.split(" | ")[-2:] == ["reward", "advantage |"] and len(rows) == 3 and rule.count("---") == 8
    assert "train/episode_return" in read.Tags()["scalars"]


def test_trackio_shows_the_table_and_the_measures(make_trainer) -> None:
    pytest.importorskip("trackio")
    from trackio.sqlite_storage import SQLiteStorage

    trainer = make_trainer(max_steps=3, report_to=["trackio"], decisions_steps=2, num_decisions=3, project="flag")
    trainer.train()
    (run,) = SQLiteStorage.get_runs("flag")
    logs = SQLiteStorage.get_logs("flag", run)
    tables = [log[TITLE] for log in logs if TITLE in log]
    assert len(tables) == 2 and all(len(table["_value"]) == 3 for table in tables), json.dumps(tables)[:500]
    assert {"date", "market", "probabilities", "action", "reward", "advantage"} <= set(tables[0]["_value"][0])
    assert any("train/episode_return" in log for log in logs)


@pytest.mark.parametrize("options", [{"report_to": "none"}, {"report_to": ["tensorboard"], "decisions_steps": 0}])
def test_nothing_is_sent_where_nobody_watches_or_wants_it(options, make_trainer, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "board"))
    monkeypatch.setattr("flag_trl.trainer.decisions._send", lambda *_: pytest.fail("a table was sent"))
    make_trainer(max_steps=1, **options).train()


def test_a_text_from_outside_ends_no_cell_and_no_row(make_trainer) -> None:
    from dataclasses import replace

    trainer = make_trainer(max_steps=1)
    trainer.train()
    odd = replace(shown(trainer, 1)[0], market="up | <script> |\n| down")
    lines = _markdown([odd]).splitlines()
    assert len(lines) == 3 and lines[2].replace("\\|", "").count("|") == lines[0].count("|")


def test_a_table_that_makes_no_sense_is_refused(make_trainer) -> None:
    with pytest.raises(ValueError, match="decisions_steps is -1 and num_decisions 8"):
        make_trainer(decisions_steps=-1)
