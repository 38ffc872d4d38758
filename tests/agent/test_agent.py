"""The agent's one decision step, and the agent on disk."""

import numpy as np
import pytest
import torch

from flag_trl.accounts import AllIn, Signed
from flag_trl.agent import Agent, play
from flag_trl.data import Window
from flag_trl.envs import TradingRules
from flag_trl.observations import Observation, ObservationConfig, Observer
from flag_trl.policy import LLMPolicy, SoftInput, Tuning

ALL = (True, True, True)
SEEN = [
    Observation("AAA. Returns, 0.1%: +4.", "Position: flat.", (False, True, True)),
    Observation("AAA. Returns, 0.1%: +4.", "Position: long.", (True, True, False)),
    Observation("AAA. Returns, 0.1%: -9.", "Position: flat.", (False, True, True)),
    Observation("AAA. Returns, 0.1%: +4.", "Position: flat.", (False, True, True)),
]


@pytest.fixture
def agent(tiny_policy) -> Agent:
    return Agent(tiny_policy())


def test_equal_observations_are_evaluated_once(agent, monkeypatch) -> None:
    rows = []
    forward = agent.policy.forward
    monkeypatch.setattr(agent.policy, "forward", lambda batch: rows.append(len(batch["legal"])) or forward(batch))
    decision = agent.decide(SEEN * 5)
    assert sum(rows) == 3
    assert np.array_equal(decision.probabilities[0], decision.probabilities[3])


def test_probabilities_are_those_of_the_policy_over_legal_actions(agent) -> None:
    decision = agent.decide(SEEN)
    for row, seen in zip(decision.probabilities, SEEN, strict=True):
        prompt = agent.prompts.build(seen).segments
        alone = agent.policy.evaluate([prompt], torch.tensor([seen.legal])).log_probs[0].exp()
        np.testing.assert_allclose(row, alone, atol=1e-5)
        assert row[[i for i, legal in enumerate(seen.legal) if not legal]].sum() == 0


def test_a_restored_agent_decides_the_same(tiny_model, tokenizer, tmp_path) -> None:
    tiny_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    template = (
        "{% block system %}Say {{ words | join(' ') }}{% endblock %}"
        "{% block user %}{{ market }}|{{ account }}{% endblock %}"
        "{% block account %}{{ account_text }}{{ legal }}{% endblock %}"
    )
    policy = LLMPolicy.from_pretrained(tmp_path / "base", tuning=Tuning(num_trainable_layers=2))
    agent = Agent(policy, ObservationConfig(past_returns=2, account_text="full"), template)
    with torch.no_grad():
        for parameter in policy.parameters():
            if parameter.requires_grad:
                parameter.mul_(1.1)
    agent.save(tmp_path / "agent")
    restored = Agent.from_pretrained(tmp_path / "agent")
    assert restored.observation == ObservationConfig(past_returns=2, account_text="full")
    assert restored.prompts.template == template
    assert np.array_equal(restored.decide(SEEN).probabilities, agent.decide(SEEN).probabilities)


def test_a_folder_without_an_agent_is_named(tmp_path) -> None:
    with pytest.raises(FileNotFoundError, match="holds no trained agent"):
        Agent.from_pretrained(tmp_path)


def test_windows_of_any_length_are_played_to_their_own_end(agent, walk) -> None:
    markets, rules = {"AAA": walk()}, TradingRules()
    windows = [Window("AAA", 25, 2), Window("AAA", 30, 5)]
    found = play(agent, rules.make(markets, 2), agent.observer(markets, rules.fill), windows)
    assert found.active.sum(0).tolist() == [2, 5]
    assert [len(day) for day in found.observations] == [2, 2, 1, 1, 1]
    assert not found.rewards[~found.active].any() and not found.probabilities[~found.active].any()


def test_the_same_numbers_draw_the_same_actions_in_any_company(agent, walk) -> None:
    markets, rules = {"AAA": walk()}, TradingRules()
    windows = [Window("AAA", start, 6) for start in (25, 31, 37)]
    uniforms = np.random.default_rng(0).random((6, 3))
    observer = agent.observer(markets, rules.fill)
    together = play(agent, rules.make(markets, 3), observer, windows, uniforms)
    alone = [
        play(agent, rules.make(markets, 1), observer, [window], uniforms[:, [n]]).actions[:, 0]
        for n, window in enumerate(windows)
    ]
    assert np.array_equal(together.actions, np.stack(alone, axis=1))


def test_an_agent_that_was_trained_remembers_on_what(agent, tmp_path, tiny_model, tokenizer) -> None:
    tiny_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    agent = Agent(LLMPolicy.from_pretrained(tmp_path / "base", tuning=Tuning(num_trainable_layers=2)))
    agent.trained_on = {"scheme": "all_in (sell, hold, buy)", "last_day": "2020-01-31"}
    agent.save(tmp_path / "agent")
    assert Agent.from_pretrained(tmp_path / "agent").trained_on == agent.trained_on


def test_weights_that_are_not_numbers_stop_the_agent_instead_of_selling(agent) -> None:
    with torch.no_grad():
        next(p for p in agent.policy.parameters() if p.requires_grad).fill_(float("nan"))
    with pytest.raises(ValueError, match="not numbers.*Lower learning_rate"):
        agent.decide(SEEN)


@pytest.mark.parametrize("scheme", [AllIn(), Signed()], ids=lambda scheme: scheme.name)
def test_a_table_trades_as_the_agent_that_filled_it(scheme, tiny_policy, walk) -> None:
    agent = Agent(tiny_policy(value_head=True), ObservationConfig(past_returns=2, indicators=()))
    markets, rules = {"AAA": walk()}, TradingRules(scheme=scheme)
    windows = [Window("AAA", start, 6) for start in (25, 31, 37) for _ in range(4)]
    uniforms = np.random.default_rng(0).random((6, len(windows)))
    observer = agent.observer(markets, rules.fill)
    table = agent.table([o for window in windows for o in observer.every_state(*window, scheme)])
    quick, plain = (
        play(decider, rules.make(markets, len(windows)), observer, windows, uniforms) for decider in (table, agent)
    )
    assert np.array_equal(quick.actions, plain.actions) and np.array_equal(quick.rewards, plain.rewards)
    assert len(np.unique(quick.actions)) == 3
    np.testing.assert_allclose(quick.probabilities, plain.probabilities, atol=1e-5)
    np.testing.assert_allclose(quick.values, plain.values, atol=1e-5)


def test_a_table_knows_its_own_observations_alone(agent) -> None:
    table = agent.table(SEEN[:2])
    assert np.array_equal(table.decide(SEEN[:2]).actions, agent.decide(SEEN[:2]).actions)
    with pytest.raises(KeyError):
        table.decide(SEEN)


def test_endless_account_texts_have_no_table(walk) -> None:
    observer = Observer({"AAA": walk()}, ObservationConfig(account_text="full"), "next_open")
    with pytest.raises(ValueError, match="no end of states; choose account_text position"):
        observer.every_state("AAA", 25, 3, Signed())


@pytest.mark.parametrize("numbers", ["soft", "both"])
def test_days_that_differ_in_numbers_alone_are_decided_apart_and_come_back(
    numbers, tiny_policy, tiny_model, tokenizer, walk, tmp_path
) -> None:
    tiny_model().save_pretrained(tmp_path / "base")
    tokenizer.save_pretrained(tmp_path / "base")
    shown = ObservationConfig(past_returns=0, indicators=("momentum5",), numbers=numbers, soft_tokens=3, soft_bars=4)
    agent = Agent(tiny_policy(soft=SoftInput(*shown.soft_input)), shown)
    torch.nn.init.normal_(agent.policy.number_encoder.write.weight, std=0.5)
    seen = agent.observer({"AAA": walk()}, "same_close").every_state("AAA", 30, 4, AllIn())
    texts = {observation.market_text for observation in seen}
    assert len(texts) == 1 if numbers == "soft" else len(texts) > 1
    assert len(agent.encode(seen).prompts) == 7
    found = agent.decide(seen).probabilities
    assert len(np.unique(found[[0, 1, 3, 5], 2].round(6))) == 4
    agent.policy.base_model = str(tmp_path / "base")
    agent.save(tmp_path / "agent")
    back = Agent.from_pretrained(tmp_path / "agent")
    assert back.observation == shown
    assert np.array_equal(back.decide(seen).probabilities, found)


def test_an_observation_with_soft_tokens_needs_a_policy_with_them(tiny_policy) -> None:
    with pytest.raises(ValueError, match="soft=SoftInput"):
        Agent(tiny_policy(), ObservationConfig(numbers="soft"))


def test_without_the_mask_every_action_has_a_probability_and_the_legal_ones_keep_their_proportions(agent) -> None:
    free, masked = agent.unmasked(SEEN), agent.decide(SEEN).probabilities
    assert (free > 0).all()
    restricted = free * np.array([o.legal for o in SEEN])
    np.testing.assert_allclose(restricted / restricted.sum(1, keepdims=True), masked, atol=1e-6)


def test_the_hidden_state_is_what_the_probabilities_are_computed_from(agent) -> None:
    hidden = torch.from_numpy(agent.hidden(SEEN)).float()
    rows = agent.policy.model.get_output_embeddings().weight[list(agent.policy.actions.nodes[0].children)]
    np.testing.assert_allclose((hidden @ rows.T).softmax(-1).detach(), agent.unmasked(SEEN), atol=1e-5)
    assert np.array_equal(hidden[0], hidden[3]) and not np.array_equal(hidden[0], hidden[2])


def test_asked_another_question_the_agent_chooses_among_its_answers_and_then_trades_as_before(agent) -> None:
    before = agent.decide(SEEN).probabilities
    template = "{% block system %}Risk?{% endblock %}{% block user %}{{ market }}{{ account }}{% endblock %}"
    with agent.asked({"up": "up", "down": "down"}, template + "{% block account %}Answer:{% endblock %}"):
        shown = [Observation(o.market_text, o.account_text, (True, True)) for o in SEEN]
        found = agent.decide(shown).probabilities
        assert found.shape == (4, 2) and np.allclose(found.sum(1), 1)
        # The account is not part of this question.
        assert np.array_equal(found[0], found[1])
    assert np.array_equal(agent.decide(SEEN).probabilities, before)
