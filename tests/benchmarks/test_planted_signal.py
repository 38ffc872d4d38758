"""The planted market holds what it says, and its shares and bootstraps measure what they claim."""

import json
import re

import numpy as np
import pytest

from benchmarks.planted_market import LEAD_IN, PLANTED_DIRECTION, SENTENCES, SYMBOL, PlantedConfig, planted_market
from benchmarks.planted_picture import draw
from benchmarks.planted_report import SHARES, report, summary
from benchmarks.planted_run import SeedRun, TrainingRecipe
from benchmarks.planted_shares import TestDays, bootstrap_shares, interval, sharpe_share
from benchmarks.planted_signal import changed
from benchmarks.planted_wordings import DOWN, UP
from flag_trl import Costs, ObservationConfig, TradingRules, position_scheme
from flag_trl.observations import Observer

SMALL = PlantedConfig(train=64, validation=32, test_known=64, test_unseen=80)
SEEDS = range(5)


def test_there_are_forty_sentences_each_way_and_none_twice():
    assert len(UP) == len(DOWN) == 40
    assert len({sentence.lower() for sentence in SENTENCES}) == 80
    assert all(8 <= len(sentence.split()) <= 18 for sentence in SENTENCES)


def test_no_single_word_tells_good_news_from_bad():
    words = [set(re.findall(r"[a-z']+", sentence.lower())) for sentence in SENTENCES]
    good = PLANTED_DIRECTION > 0
    for word in set().union(*words):
        has = np.array([word in of for of in words])
        assert max((has == good).mean(), (has != good).mean()) < 0.65, word


@pytest.mark.parametrize("seed", SEEDS)
def test_unseen_wordings_occur_in_no_other_period(seed):
    planted = planted_market(seed)
    shown = {name: set(planted.sentence[planted.bars(name)]) for name in planted.periods}
    assert not shown["test_unseen"] & (shown["train"] | shown["validation"] | shown["test_known"])
    assert not shown["train"] & shown["validation"]
    assert shown["test_known"] == shown["train"] == set(planted.wordings["train"])
    assert len(shown["test_unseen"]) == 40 and len(shown["train"] | shown["validation"]) == 40
    for known in shown.values():
        assert sum(PLANTED_DIRECTION[list(known)]) == 0


def test_without_held_out_wordings_validation_uses_those_of_training():
    planted = planted_market(0, PlantedConfig(held_out=0))
    assert planted.wordings["validation"] == planted.wordings["train"]
    assert len(planted.wordings["train"]) == 40


def test_periods_share_no_day_and_hold_the_decisions_asked_for():
    planted = planted_market(0)
    bars = [planted.bars(name) for name in planted.periods]
    assert [len(of) for of in bars] == [1024, 128, 320, 400]
    # The close at which a period's last decision is paid belongs to no other period either.
    assert all(later[0] == earlier[-1] + 2 for earlier, later in zip(bars, bars[1:], strict=False))
    assert bars[0][0] == LEAD_IN


def test_sentences_are_right_on_seventy_percent_of_days():
    found = [planted_market(seed) for seed in range(20)]
    for name, width in (("train", 0.02), ("validation", 0.03), ("test_known", 0.005), ("test_unseen", 0.005)):
        right = [(p.told == np.sign(p.next_return))[p.bars(name)].mean() for p in found]
        assert np.mean(right) == pytest.approx(0.7, abs=width), name


def test_in_a_test_every_wording_pays_the_same():
    planted = planted_market(0)
    for period in ("test_known", "test_unseen"):
        bars = planted.bars(period)
        for wording in planted.wordings[period]:
            mine = bars[planted.sentence[bars] == wording]
            earned = planted.told[mine] * planted.next_return[mine]
            assert len(mine) == 10 and (earned > 0).sum() == 7
            assert earned.sum() == pytest.approx(0.04)


def test_size_of_a_return_tells_nothing_of_its_direction():
    planted = planted_market(3)
    sizes = np.abs(planted.next_return[:-1])
    assert sizes.min() >= 0.005 and sizes.max() <= 0.015
    assert abs(np.corrcoef(sizes, np.sign(planted.next_return[:-1]))[0, 1]) < 0.06


def test_closes_pay_the_planted_returns():
    planted = planted_market(1, SMALL)
    close = planted.market.close
    np.testing.assert_allclose(close[1:] / close[:-1] - 1, planted.next_return[:-1], atol=1e-12)


def test_a_day_s_prompt_holds_its_own_sentence_and_no_other():
    planted = planted_market(1, SMALL)
    config = ObservationConfig(past_returns=3, indicators=(), news_items=1, news_budget=400)
    observer = Observer({SYMBOL: planted.market}, config, "same_close")
    for bar in planted.bars("test_unseen")[:20]:
        assert observer.market_text(0, int(bar)).split("\n")[1:] == [SENTENCES[planted.sentence[bar]]]


def test_the_same_seed_gives_the_same_market():
    first, again, other = planted_market(2), planted_market(2), planted_market(3)
    np.testing.assert_array_equal(first.market.close, again.market.close)
    assert first.wordings == again.wordings != other.wordings


def test_following_the_sentences_in_the_environment_earns_the_optimum():
    planted = planted_market(0, SMALL)
    window = planted.window("test_unseen")
    rules = TradingRules(position_scheme("signed"), fill="same_close", costs=Costs())
    env = rules.make({SYMBOL: planted.market}, 1)
    env.reset(options={"windows": [window]})
    earned = [
        np.expm1(env.step(np.array([1 + planted.told[bar]]))[4]["log_return"][0])
        for bar in planted.bars("test_unseen")
    ]
    optimal = planted.optimal_returns("test_unseen")
    np.testing.assert_allclose(earned, optimal, atol=1e-12)
    assert sharpe_share(np.array(earned), optimal) == pytest.approx(1.0)


def test_shuffled_news_are_the_same_sentences_on_the_same_prices_and_worth_nothing():
    shares = []
    for seed in range(30):
        planted = planted_market(seed)
        shuffled = planted.shuffled("test_unseen", seed)
        bars = planted.bars("test_unseen")
        assert sorted(shuffled.sentence[bars]) == sorted(planted.sentence[bars])
        np.testing.assert_array_equal(shuffled.market.close, planted.market.close)
        np.testing.assert_array_equal(np.delete(shuffled.sentence, bars), np.delete(planted.sentence, bars))
        assert [text.text for text in shuffled.market.texts] == [SENTENCES[k] for k in shuffled.sentence]
        shares.append(sharpe_share(shuffled.optimal_returns("test_unseen"), planted.optimal_returns("test_unseen")))
    assert abs(np.mean(shares)) < 0.05


def test_shares_of_the_opposite_and_of_an_idle_policy():
    optimal = planted_market(0).optimal_returns("test_unseen")
    assert sharpe_share(-optimal, optimal) == pytest.approx(-1.0)
    assert sharpe_share(0 * optimal, optimal) == 0.0


def days_of(seed: int, wrong: float = 0.0) -> TestDays:
    """The optimum and a policy that misreads a share of the wordings."""
    planted = planted_market(seed)
    bars = planted.bars("test_unseen")
    wordings = np.array(planted.wordings["test_unseen"])
    misread = np.random.default_rng(seed).permutation(wordings)[: round(wrong * len(wordings))]
    optimal = planted.optimal_returns("test_unseen")
    follows = np.where(np.isin(planted.sentence[bars], misread), -1, 1)
    return TestDays({"a": follows * optimal, "b": follows * optimal, "best": optimal}, optimal, planted.sentence[bars])


@pytest.mark.parametrize("wordings", [True, False])
def test_the_difference_of_identical_policies_is_zero_and_the_optimum_s_share_one(wordings):
    resampled = bootstrap_shares([days_of(0, 0.2), days_of(1, 0.2)], draws=50, wordings=wordings)
    assert resampled["a"].shape == (2, 50)
    np.testing.assert_array_equal(resampled["a"], resampled["b"])
    np.testing.assert_allclose(resampled["best"], 1.0)


def test_the_two_level_interval_is_wider_than_that_of_days_alone_and_holds_the_share():
    days = days_of(0, 0.2)
    share = sharpe_share(days.returns["a"], days.optimal)
    low, high = interval(bootstrap_shares([days], draws=1000)["a"][0])
    near, far = interval(bootstrap_shares([days], draws=1000, wordings=False)["a"][0])
    assert low < near < share < far < high


def test_the_two_level_spread_is_that_of_misread_wordings():
    days = days_of(0, 0.2)
    spread = bootstrap_shares([days], draws=2000)["a"][0].std()
    # 40 wordings of which a fifth count -1 and the others 1: 2 sqrt(0.2 * 0.8 / 40), and the days' own noise on top.
    assert 0.11 < spread < 0.17


def test_a_wording_drawn_serves_every_seed():
    one = bootstrap_shares([days_of(0, 0.2)] * 2, draws=1000)["a"]
    # The same wordings and policies twice: what they share is most of the spread.
    assert np.corrcoef(one)[0, 1] > 0.6


def test_the_report_holds_the_five_shares_for_every_seed(tmp_path):
    runs = []
    for seed in (0, 1):
        run = SeedRun(seed, SMALL, TrainingRecipe(), tmp_path, "model")
        told = {name: run.planted.told[run.planted.bars(f"test_{name}")] for name in ("known", "unseen")}
        run.positions = {name: told["unseen"].tolist() for name in ("unseen", "probe", "ceiling")}
        shown = run.planted.shuffled("test_unseen", seed)
        run.positions |= {"known": told["known"].tolist(), "shuffled": shown.told[shown.bars("test_unseen")].tolist()}
        run.notes["curve"] = {
            "step": [1, 2],
            "train": [0.1, 0.2],
            "entropy": [1.0, 0.9],
            "validation_step": [0, 2],
            "validation": [0.0, 0.4],
        }
        runs.append(run)
    figures = json.loads(json.dumps(report(runs)))
    assert all(len(figures[key]) == 2 for key in SHARES)
    assert figures["share_unseen"] == pytest.approx([1.0, 1.0])
    assert figures["difference"]["pooled_interval"] == pytest.approx([0.0, 0.0])
    assert figures["reading"]["shuffled"] == [1.0, 1.0]
    assert "share_shuffled" in summary(figures)
    draw(figures, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 10_000


def test_a_seed_s_stages_are_found_again_and_another_recipe_has_its_own_folder(tmp_path):
    run = SeedRun(0, SMALL, TrainingRecipe(), tmp_path, "model")
    with run._stage("probes"):
        run.positions["probe"] = [1, -1]
    again = SeedRun(0, SMALL, TrainingRecipe(), tmp_path, "model")
    assert again.positions == {"probe": [1, -1]} and not again.finished
    other = SeedRun(0, SMALL, changed(TrainingRecipe(), ["learning_rate=1e-4"]), tmp_path, "model")
    assert other.positions == {} and other.recipe.learning_rate == 1e-4


def test_unknown_settings_are_refused():
    with pytest.raises(SystemExit, match="there is no 'lr'"):
        changed(TrainingRecipe(), ["lr=1"])
    with pytest.raises(SystemExit, match="give steps as int"):
        changed(TrainingRecipe(), ["steps=many"])
