"""Decisions recomputed from the journal alone, and what does not let itself be recomputed."""

import json
import sqlite3

import pytest

from flag_trl.accounts import Signed
from flag_trl.agent import Agent
from flag_trl.live import Limits
from flag_trl.live.replay import replay
from flag_trl.observations import ObservationConfig
from tests.live.conftest import opened
from tests.live.policies import EVERYTHING, Broken, Moody


@pytest.mark.parametrize("fill", ["same_close", "next_open"])
@pytest.mark.parametrize("sampled", [False, True])
def test_every_decision_comes_out_again(game, noisy, fill, sampled):
    markets = {symbol: noisy(symbol) for symbol in ("BBB", "AAA")}
    played = game(Moody(EVERYTHING), markets, scheme=Signed(), fill=fill, sampled=sampled, decide_every=2)
    played.play()
    with opened(played.journal.path) as journal:
        found = replay(journal, Moody(EVERYTHING))
    assert found.decisions == 30 and found.differences == [] and found.worst == 0.0
    assert "30 decisions recomputed: observation hashes equal" in found.in_words


def test_another_policy_is_found_out(game, noisy):
    played = game(Moody(EVERYTHING), {"AAA": noisy()})
    played.play()

    class Other(Moody):
        def probabilities(self, observation):
            return super().probabilities(observation)[::-1] * observation.legal + 1e-3

    with opened(played.journal.path) as journal:
        found = replay(journal, Other(EVERYTHING))
    assert found.differences and "DIFFER" in found.in_words


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (
            "UPDATE bars SET close = close * 1.05 WHERE ts = (SELECT ts FROM decisions LIMIT 1 OFFSET 5) - 1",
            "observation",
        ),
        ("UPDATE news SET text = text || '!' WHERE number >= 0", "observation"),
        ("UPDATE decisions SET action = 1 - action / 2 WHERE action != 1", "action"),
        ("UPDATE decisions SET uniform = uniform / 2", "drawn by"),
        ("UPDATE accounts SET since_entry = since_entry + 0.5, equity = equity * 2 WHERE units != 0", "observation"),
    ],
)
def test_what_was_changed_afterwards_is_found(game, noisy, change, named):
    played = game(Moody(EVERYTHING), {"AAA": noisy(n=80)}, sampled=True)
    played.play()
    played.close()
    database = sqlite3.connect(played.journal.path)
    assert database.execute(change).rowcount > 0
    database.commit()
    with opened(played.journal.path) as journal:
        found = replay(journal, Moody(EVERYTHING))
    assert any(named in line for line in found.differences), found.differences[:3]


def test_probabilities_that_moved_by_more_than_rounding_are_found(game, noisy):
    played = game(Moody(EVERYTHING), {"AAA": noisy()})
    played.play()
    played.close()
    database = sqlite3.connect(played.journal.path)
    rows = database.execute("SELECT ts, probabilities FROM decisions").fetchall()
    for number, (ts, probabilities) in enumerate(rows):
        moved = [p + (2e-5 if number == 3 else 5e-6) for p in json.loads(probabilities)]
        database.execute("UPDATE decisions SET probabilities = ? WHERE ts = ?", (json.dumps(moved), ts))
    database.commit()
    with opened(played.journal.path) as journal:
        found = replay(journal, Moody(EVERYTHING))
    assert len(found.differences) == 1 and "probabilities differ by 2.0e-05" in found.differences[0]


def test_answers_that_never_came_are_counted_apart(game, noisy):
    played = game(Broken([2, 5]), {"AAA": noisy()}, limits=Limits(max_failures=3))
    played.play()
    with opened(played.journal.path) as journal:
        found = replay(journal, Moody())
    assert found.unanswered == 2 and found.decisions == 29 and found.differences == []


def test_an_agents_decisions_come_out_again(game, noisy, tiny_policy):
    agent = Agent(tiny_policy(), ObservationConfig(past_returns=2, indicators=[], news_items=1, news_budget=20))
    played = game(agent, {"AAA": noisy()}, sampled=True)
    played.play()
    with opened(played.journal.path) as journal:
        found = replay(journal, agent)
    assert found.differences == [] and found.worst < 1e-5
