"""The short way to an estimator's bias and noise gives what gradients written out give."""

import numpy as np
import pytest
import torch

from benchmarks.estimators import ESTIMATORS, WindowPolicy, estimate, measure, trainer_check, window_policy
from flag_trl.accounts import AllIn, Costs, Signed
from flag_trl.agent import Agent, play
from flag_trl.data import Window
from flag_trl.envs import TradingRules
from flag_trl.observations import ObservationConfig
from flag_trl.policy import LLMPolicy, Tuning
from flag_trl.trainer import FlagConfig
from flag_trl.trainer.rollouts import keyed_uniforms

DAYS = 4
WINDOW = Window("AAA", 20, DAYS)
OBSERVATION = ObservationConfig(past_returns=2, indicators=())
ALL_IN, SIGNED = (TradingRules(scheme, "same_close", Costs(commission_bps=20)) for scheme in (AllIn(), Signed()))


def draw(count: int, part: int) -> np.ndarray:
    return keyed_uniforms([WINDOW], count, 0, part)


@pytest.fixture(scope="module")
def agent(tiny_model, tokenizer) -> Agent:
    return Agent(LLMPolicy(tiny_model(), tokenizer, tuning=Tuning(num_trainable_layers=2)), OBSERVATION)


@pytest.fixture(scope="module")
def window(agent, walk) -> WindowPolicy:
    return window_policy(agent, ALL_IN, {"AAA": walk()}, WINDOW)


@pytest.fixture(scope="module")
def rows(window) -> dict[tuple[str, int], dict]:
    return {(row["estimator"], row["rollouts"]): row for row in measure(window, WINDOW, 4000, rollouts=(2, 8))}


@pytest.mark.parametrize("rules", [ALL_IN, SIGNED], ids=["all_in", "signed"])
def test_coordinates_have_the_lengths_and_angles_of_the_full_gradients(agent, walk, rules) -> None:
    markets = {"AAA": walk()}
    window = window_policy(agent, rules, markets, WINDOW)
    states = agent.encode(agent.observer(markets, rules.fill).every_state(*WINDOW, rules.scheme))
    legal = states.legal
    # Any weights on log-probabilities, not those of estimators alone.
    weights = torch.randn(3, *legal.shape, generator=torch.Generator().manual_seed(0)) * legal
    full = []
    for one in weights:
        agent.policy.zero_grad()
        for rows, batch in agent.policy.batches(states.segments, legal):
            log_probs = agent.policy(batch).log_probs.masked_fill(~batch["legal"], 0.0)
            (log_probs * one[rows]).sum().backward()
        full.append(torch.cat([p.grad.flatten() for p in agent.policy.parameters() if p.requires_grad]).double())
    expected = torch.stack(full) @ torch.stack(full).T
    short = np.einsum("sua,uar->sr", weights.double().numpy(), window.basis)
    np.testing.assert_allclose(short @ short.T, expected.numpy(), rtol=1e-3, atol=1e-4 * float(expected.max()))


def test_the_trainers_own_gradients_are_as_long(agent, walk, window, tmp_path) -> None:
    args = FlagConfig(
        str(tmp_path),
        use_cpu=True,
        num_generations=4,
        entropy_coef=0.0,
        kl_coef=0.0,
        scale_advantages=False,
        trunk_cache_dir="none",
        report_to="none",
    )
    markets = {"AAA": walk()}
    assert trainer_check(agent, args, ALL_IN, markets, WINDOW, window) < 1e-4
    # The check can fail: the other scheme's rewards and states are not these.
    assert trainer_check(agent, args, SIGNED, markets, WINDOW, window) > 1e-2


def test_simulated_rollouts_are_those_of_the_environment(agent, walk, window) -> None:
    markets = {"AAA": walk()}
    observer = agent.observer(markets, ALL_IN.fill)
    table = agent.table(observer.every_state(*WINDOW, ALL_IN.scheme))
    uniforms = draw(32, 0)
    played = play(table, ALL_IN.make(markets, 32), observer, [WINDOW] * 32, uniforms)
    _, actions, rewards = window.simulate(uniforms)
    np.testing.assert_array_equal(actions, played.actions)
    np.testing.assert_allclose(rewards, played.rewards, atol=1e-12)


@pytest.mark.parametrize("name", ["rloo", "none", "value, perfect V, lam 0.95", "value, perfect V, lam 0"])
def test_unbiased_estimators_average_to_the_exact_gradient(rows, name) -> None:
    for n in (2, 8):
        assert rows[name, n]["bias_by_theory"] == 0.0
        assert rows[name, n]["bias"] < 2.5 * rows[name, n]["bias_by_chance"]


def test_the_mean_that_includes_the_sample_shrinks_the_gradient_by_one_part_in_n(rows, window) -> None:
    for n in (2, 8):
        row = rows["batch_mean", n]
        assert row["bias"] == pytest.approx(1 / n, abs=3 * row["bias_by_chance"])
        assert row["noise_to_signal"] == pytest.approx(rows["rloo", n]["noise_to_signal"] * (1 - 1 / n) ** 2)
    x, a, r = window.simulate(draw(8, 0))
    rloo, mean = (window.gradients(x, a, estimate(name, window, x, r, 8), 8) for name in ("rloo", "batch_mean"))
    np.testing.assert_allclose(mean, rloo * 7 / 8)


def test_with_an_untrained_critic_lambda_biases_the_gradient_as_gamma_would(window) -> None:
    x, a, r = window.simulate(draw(40_000, 0))
    found = window.gradients(x, a, estimate("value, V = 0, lam 0.2", window, x, r, 1), 1)
    error = found.std(0, ddof=1) / np.sqrt(len(found))
    assert np.linalg.norm(found.mean(0) - window.exact(0.2)) < 2.5 * np.linalg.norm(error)
    # The test can fail: the gradient of the whole return lies far from there.
    assert np.linalg.norm(found.mean(0) - window.exact()) > 10 * np.linalg.norm(error)


def test_an_untrained_critic_with_lambda_one_is_no_baseline(rows) -> None:
    ours, none = rows["value, V = 0, lam 1", 8], rows["none", 8]
    assert ours["noise_to_signal"] == pytest.approx(none["noise_to_signal"])


def test_noise_falls_as_one_over_the_rollouts_where_they_are_judged_apart(rows) -> None:
    assert rows["none", 2]["noise_to_signal"] == pytest.approx(4 * rows["none", 8]["noise_to_signal"], rel=0.15)


def test_every_estimator_has_a_row_with_every_figure(rows) -> None:
    assert set(rows) == {(name, n) for name in ESTIMATORS for n in (2, 8)}
    keys = {"estimator", "rollouts", "bias", "bias_by_chance", "bias_by_theory", "noise_to_signal"}
    keys |= {"batches_for_ratio_one", "cosine", "cosine_error", "batches"}
    assert all(set(row) == keys and np.isfinite(list(row.values())[1:]).all() for row in rows.values())


def test_states_without_end_are_refused_by_name(agent, walk) -> None:
    full = Agent(agent.policy, ObservationConfig(account_text="full"))
    with pytest.raises(ValueError, match="account_text full"):
        window_policy(full, ALL_IN, {"AAA": walk()}, WINDOW)
