"""REINFORCE's gradient is that of the objective, found by enumerating every action sequence; PPO's is REINFORCE's."""

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


@pytest.fixture
def make_plain(make_trainer):
    """Gamma 1, no entropy bonus, no KL, advantages as they are; a market whose three moves are large and differ."""
    close = np.full(40, 100.0)
    close[20:24] = [100, 130, 90, 125]
    market = MarketData("AAA", np.datetime64("2020-01-01") + np.arange(40), close)
    plain = {"entropy_coef": 0.0, "kl_coef": 0.0, "scale_advantages": False, "gamma": 1.0}

    def build(baseline: str, num_generations: int = 8, **options: object) -> FlagTrainer:
        options = {"baseline": baseline, "num_generations": num_generations, **plain, **options}
        return make_trainer(rules=RULES, market=market, length=STEPS, **options)

    return build


def gradient_by_enumeration(trainer: FlagTrainer, every_sequence, decisions) -> torch.Tensor:
    """Gradient of -(1/T) sum over all sequences of pi(sequence) x return(sequence)."""
    sequences = every_sequence(RULES, trainer.markets, WINDOW)
    likely = decisions(trainer, sequences)[0].sum(1).exp()
    objective = likely @ torch.from_numpy(sequences.rewards.sum(1)).float()
    trained = [p for p in trainer.model.parameters() if p.requires_grad]
    return torch.cat([g.flatten() for g in torch.autograd.grad(-objective / STEPS, trained)])


def sampled_gradients(trainer: FlagTrainer, directions: torch.Tensor, loss_gradient) -> np.ndarray:
    """Projections of the loss's gradient, one row a batch of rollouts."""
    rows = []
    for visit in range(BATCHES):
        samples, _ = trainer._collector.collect([WINDOW], visit)
        rows.append((directions @ loss_gradient(trainer, samples)).numpy())
    return np.array(rows)


# A sample in its own baseline scales the gradient by (n-1)/n, which two rollouts show best.
@pytest.mark.parametrize(
    ("baseline", "rollouts", "scale"), [("rloo", 8, 1.0), ("none", 8, 1.0), ("batch_mean", 2, 0.5)]
)
def test_sampled_gradients_average_to_the_gradient_of_the_objective(
    baseline, rollouts, scale, make_plain, every_sequence, decisions, loss_gradient
) -> None:
    trainer = make_plain(baseline, rollouts)
    exact = scale * gradient_by_enumeration(trainer, every_sequence, decisions)
    torch.manual_seed(0)
    directions = torch.randn(DIRECTIONS, len(exact))
    # The first direction is the gradient's own, along which a wrong sign shows most.
    directions[0] = exact / exact.norm() * directions[0].norm()
    sampled, truth = sampled_gradients(trainer, directions, loss_gradient), (directions @ exact).numpy()
    error = sampled.std(axis=0, ddof=1) / np.sqrt(BATCHES)
    assert (np.abs(sampled.mean(axis=0) - truth) < 4 * error).all()
    # The test can fail: with the advantages' sign flipped, or of twice the size, the average lies far outside.
    assert np.abs(-sampled.mean(axis=0) - truth)[0] > 8 * error[0]
    assert np.abs(sampled.mean(axis=0) - 2 * truth)[0] > 4 * error[0]


@pytest.mark.parametrize("baseline", ["rloo", "batch_mean", "none", "value"])
def test_the_first_gradient_of_ppo_is_that_of_reinforce_though_the_loss_is_another(
    baseline, make_plain, loss_gradient
) -> None:
    """Cache and sharing on, an untrained value head that says something, and its loss left out."""
    trainer = make_plain(baseline, value_head=baseline == "value", vf_coef=0.0)
    policy = trainer.agent.policy
    policy.use_cache()
    if policy.value_head is not None:
        torch.nn.init.normal_(policy.value_head.weight, std=0.1)
    samples, _ = trainer._collector.collect([WINDOW, Window("AAA", 21, 2)], visit=0)
    assert len(samples.states.prompts) < len(samples.states.index)
    gradients, losses = {}, {}
    for kind in ("reinforce", "ppo"):
        trainer.args.loss_type = kind
        gradients[kind] = loss_gradient(trainer, samples)
        (chunk,) = samples.chunks(policy)
        losses[kind] = trainer.compute_loss(trainer.model, chunk).item()
    assert policy.cache.hits > 0
    size = gradients["reinforce"].abs().max().item()
    assert size > 1e-3 and abs(losses["ppo"] - losses["reinforce"]) > 1e-3
    torch.testing.assert_close(gradients["ppo"], gradients["reinforce"], rtol=0, atol=2e-6 * size)
