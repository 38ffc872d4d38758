"""The REINFORCE gradient of sampled rollouts is that of the objective, found by enumerating every action sequence."""

from itertools import product

import numpy as np
import pytest
import torch

from flag_trl.accounts import AllIn, Costs
from flag_trl.data import MarketData, Window
from flag_trl.envs import TradingRules
from flag_trl.trainer import FlagTrainer

STEPS, BATCHES, DIRECTIONS = 3, 300, 4
RULES = TradingRules(scheme=AllIn(), fill="same_close", costs=Costs(commission_bps=50))
WINDOW = Window("AAA", 20, STEPS)


@pytest.fixture(params=["rloo", "none"])
def trainer(request, make_trainer) -> FlagTrainer:
    """Gamma 1, no entropy bonus, no KL, advantages as they are; a market whose three moves are large and differ."""
    close = np.full(40, 100.0)
    close[20:24] = [100, 130, 90, 125]
    market = MarketData("AAA", np.datetime64("2020-01-01") + np.arange(40), close)
    return make_trainer(
        rules=RULES,
        market=market,
        length=STEPS,
        num_generations=8,
        baseline=request.param,
        entropy_coef=0.0,
        kl_coef=0.0,
        scale_advantages=False,
        gamma=1.0,
    )


def flat_gradient(trainer: FlagTrainer) -> torch.Tensor:
    gradients = [p.grad.flatten() for p in trainer.model.parameters() if p.requires_grad]
    trainer.model.zero_grad()
    return torch.cat(gradients)


def gradient_by_enumeration(trainer: FlagTrainer) -> torch.Tensor:
    """Gradient of -(1/T) sum over all sequences of pi(sequence) x return(sequence)."""
    objective = torch.zeros(())
    rows = [ids[0] for ids in trainer.agent.policy.actions.token_ids]
    agent, observer = trainer.agent, trainer.agent.observer(trainer.markets, RULES.fill)
    for sequence in product(range(3), repeat=STEPS):
        env = RULES.make(trainer.markets, 1)
        raw, _ = env.reset(options={"windows": [WINDOW]})
        log_prob, total = torch.zeros(()), 0.0
        for action in sequence:
            (seen,) = observer.observe(raw)
            if not seen.legal[action]:
                break
            logits = agent.policy.model(torch.tensor([agent.prompts.build(seen).token_ids])).logits[0, -1, rows]
            logits = logits.masked_fill(~torch.tensor(seen.legal), float("-inf"))
            log_prob = log_prob + logits.log_softmax(-1)[action]
            raw, reward, *_ = env.step(np.array([action]))
            total += reward[0]
        else:
            objective = objective + log_prob.exp() * total
    (-objective / STEPS).backward()
    return flat_gradient(trainer)


def sampled_gradients(trainer: FlagTrainer, directions: torch.Tensor) -> np.ndarray:
    """Projections of the loss's gradient, one row a batch of rollouts."""
    rows = []
    for visit in range(BATCHES):
        samples, _ = trainer._collector.collect([WINDOW], visit)
        for chunk in samples.chunks(trainer.agent.policy):
            trainer.compute_loss(trainer.model, chunk).backward()
        rows.append((directions @ flat_gradient(trainer)).numpy())
    return np.array(rows)


def test_sampled_gradients_average_to_the_gradient_of_the_objective(trainer) -> None:
    exact = gradient_by_enumeration(trainer)
    torch.manual_seed(0)
    directions = torch.randn(DIRECTIONS, len(exact))
    # The first direction is the gradient's own, along which a wrong sign shows most.
    directions[0] = exact / exact.norm() * directions[0].norm()
    sampled, truth = sampled_gradients(trainer, directions), (directions @ exact).numpy()
    error = sampled.std(axis=0, ddof=1) / np.sqrt(BATCHES)
    assert (np.abs(sampled.mean(axis=0) - truth) < 4 * error).all()
    # The test can fail: with the advantages' sign flipped the average lies far outside.
    assert np.abs(-sampled.mean(axis=0) - truth)[0] > 8 * error[0]
