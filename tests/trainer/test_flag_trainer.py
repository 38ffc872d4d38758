"""What moves and what does not, resume to the last bit, accumulation, validation, logs, and what TRL must have."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import GradientState
from transformers import Trainer, TrainerCallback
from transformers.integrations import deepspeed
from trl.trainer.base_trainer import _BaseTrainer

from flag_trl.accounts import Target
from flag_trl.agent import Agent
from flag_trl.data import Window
from flag_trl.envs import TradingRules
from flag_trl.observations import ObservationConfig
from flag_trl.policy import Tuning
from flag_trl.policy.tuning import FAMILIES
from flag_trl.trainer import FlagConfig, FlagTrainer
from flag_trl.trainer.keeping import KeepingTrainer
from flag_trl.trainer.preparation import arrange
from flag_trl.trainer.samples import padded

TUNINGS = [
    Tuning("top_layers", 2),
    Tuning("lora", 2, lora_rank=2),
    Tuning("dora", 2, lora_rank=2),
    Tuning("full"),
]


def weights(trainer: FlagTrainer) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters()}


@pytest.mark.parametrize("tuning", TUNINGS, ids=lambda t: t.method)
def test_frozen_weights_stay_to_the_last_bit_and_every_trained_one_moves(tuning, make_trainer) -> None:
    # Two updates: an adapter's first factor has no gradient until its second has left zero.
    trainer = make_trainer(tuning, kl_coef=0.01, max_steps=3)
    before = weights(trainer)
    trainer.train()
    trained = set(trainer.agent.policy.trainable_names)
    assert trained and (tuning.method == "full" or trained < set(before))
    for name, after in weights(trainer).items():
        assert torch.equal(after, before[name]) != (name in trained), name


@pytest.mark.parametrize("tuning", TUNINGS[:3], ids=lambda t: t.method)
def test_three_steps_and_three_after_a_resume_equal_six_to_the_last_bit(tuning, make_trainer, tmp_path) -> None:
    options = {
        "max_steps": 6,
        "save_strategy": "steps",
        "save_steps": 3,
        "kl_coef": 0.05,
        "entropy_coef": 0.02,
        "gradient_accumulation_steps": 2,
        "per_device_train_batch_size": 1,
    }
    straight = make_trainer(tuning, output_dir=str(tmp_path / "straight"), **options)
    straight.train()
    resumed = make_trainer(tuning, output_dir=str(tmp_path / "resumed"), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "straight" / "checkpoint-3"))
    assert resumed.state.global_step == 6
    there, here = weights(straight), weights(resumed)
    assert all(torch.equal(here[name], there[name]) for name in there)
    same = ("loss", "grad_norm", "episode_return", "kl", "entropy", "advantage_std")
    logs = [[row[key] for key in same] for t in (straight, resumed) for row in t.state.log_history if "kl" in row]
    assert logs[:6] == logs[6:]


PPO = {
    "loss_type": "ppo",
    "baseline": "value",
    "num_ppo_epochs": 2,
    "num_mini_batches": 2,
    "kl_coef": 0.05,
    "gradient_accumulation_steps": 2,
    "per_device_train_batch_size": 1,
    "scale_advantages": True,
}


@pytest.mark.parametrize(("stop", "shown"), [(2, {}), (5, {"reflections": 2}), (7, {"numbers": "soft"})])
def test_ppo_resumes_to_the_last_bit_in_the_middle_of_a_rollouts_use(stop, shown, make_trainer, tmp_path) -> None:
    options = {**PPO, "max_steps": 10, "save_strategy": "steps", "save_steps": stop, "value_head": True}
    options["observation"] = ObservationConfig(past_returns=2, indicators=(), **shown)
    # States that do not come round are kept in no folder, and a batch of others changes their last digits.
    cache = {"trunk_cache_dir": str(tmp_path / "cache"), "trunk_cache": "reflections" not in shown}
    straight = make_trainer(output_dir=str(tmp_path / "straight"), **cache, **options)
    straight.train()
    resumed = make_trainer(output_dir=str(tmp_path / "resumed"), **cache, **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "straight" / f"checkpoint-{stop}"))
    there, here = weights(straight), weights(resumed)
    assert all(torch.equal(here[name], there[name]) for name in there)
    assert "numbers" not in shown or there["number_encoder.write.weight"].abs().max() > 1e-4
    returns = [[r["loss"] for r in t.state.log_history if "episode_return" in r] for t in (straight, resumed)]
    assert returns[0] == returns[1]


def test_a_rollout_serves_as_many_updates_as_ppo_uses_it(make_trainer) -> None:
    trainer = make_trainer(**PPO, max_steps=8, value_head=True)
    trainer.train()
    rolled = [row["step"] for row in trainer.state.log_history if "episode_return" in row]
    assert rolled == [1, 5]


def test_a_policy_that_has_moved_too_far_waits_for_the_next_rollout(make_trainer) -> None:
    seen: list[dict[str, torch.Tensor]] = []

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            seen.append(weights(trainer))

    options = {**PPO, "num_mini_batches": 1, "num_ppo_epochs": 4, "learning_rate": 0.03, "weight_decay": 0.1}
    trainer = make_trainer(**options, max_steps=5, target_kl=1e-6, value_head=True, callbacks=[Watch()])
    trainer.train()
    stopped = [row["stopped"] for row in trainer.state.log_history if "stopped" in row]
    assert stopped == [0, 1, 1, 1, 0]
    moved = [any(not torch.equal(b[name], a[name]) for name in a) for a, b in zip(seen, seen[1:], strict=False)]
    assert moved == [False, False, False, True]


@pytest.mark.parametrize("family", FAMILIES)
def test_cache_and_sharing_change_neither_actions_nor_weights(family, make_trainer) -> None:
    """Same seed, everything on against everything off: the same trades, and weights apart by rounding alone."""
    off = {"share": "none", "trunk_cache": False, "table_rollouts": False}
    same = {"family": family, "optim": "sgd", "learning_rate": 0.1, "max_grad_norm": 0.0, "kl_coef": 0.1}
    quick, plain = make_trainer(**same), make_trainer(**same, **off)
    windows = [Window("AAA", 10, 5), Window("AAA", 20, 4)]
    (mine, here), (theirs, there) = (t._collector.collect(windows, visit=0) for t in (quick, plain))
    assert np.array_equal(mine.values["actions"], theirs.values["actions"])
    assert len(mine.states.prompts) < len(theirs.states.prompts) == len(theirs.states.index)
    assert here["episode_return"] == there["episode_return"]
    quick.train()
    plain.train()
    a, b = weights(quick), weights(plain)
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=1e-5, rtol=0)


@pytest.mark.parametrize("baseline", ["batch_mean", "value", "exact"])
def test_every_estimator_trains(baseline, make_trainer) -> None:
    trainer = make_trainer(baseline=baseline, value_head=True, kl_coef=0.01)
    before = weights(trainer)
    trainer.train()
    moved = {name for name, after in weights(trainer).items() if not torch.equal(after, before[name])}
    heads = {"value_head.weight", "value_head.bias"} if baseline != "value" else set()
    assert moved == set(trainer.agent.policy.trainable_names) - heads


def test_a_value_baseline_without_a_head_is_refused(make_trainer) -> None:
    with pytest.raises(ValueError, match="needs a value head"):
        make_trainer(baseline="value")


def test_two_accumulated_windows_equal_one_step_of_two(make_trainer) -> None:
    same = {"max_steps": 1, "optim": "sgd", "scale_advantages": False, "learning_rate": 1.0, "max_grad_norm": 0.0}
    once = make_trainer(per_device_train_batch_size=2, **same)
    twice = make_trainer(per_device_train_batch_size=1, gradient_accumulation_steps=2, **same)
    before = weights(once)
    once.train()
    twice.train()
    one, two = weights(once), weights(twice)
    assert max((one[name] - before[name]).abs().max().item() for name in one) > 1e-5
    for name in one:
        torch.testing.assert_close(two[name], one[name], atol=1e-6, rtol=0)


def test_every_step_logs_what_a_trader_and_a_researcher_look_for(make_trainer) -> None:
    trainer = make_trainer(max_steps=2, kl_coef=0.01)
    trainer.train()
    rows = [row for row in trainer.state.log_history if "episode_return" in row]
    assert [row["step"] for row in rows] == [1, 2]
    expected = {"loss", "grad_norm", "episode_return", "sharpe", "entropy", "kl", "advantage_std"}
    expected |= {"share/sell", "share/hold", "share/buy", "transitions_per_second", "buy_and_hold", "learning_rate"}
    for row in rows:
        assert expected <= set(row) and all(np.isfinite(row[key]) for key in expected)
        assert sum(row[f"share/{name}"] for name in ("sell", "hold", "buy")) == pytest.approx(1)


def test_the_best_checkpoint_on_validation_is_kept_and_loaded(make_trainer, tmp_path) -> None:
    trainer = make_trainer(
        max_steps=4,
        eval_strategy="steps",
        eval_steps=1,
        save_strategy="steps",
        save_steps=1,
        save_total_limit=1,
        load_best_model_at_end=True,
        learning_rate=0.05,
    )
    trainer.train()
    scores = {row["step"]: row["eval_episode_return"] for row in trainer.state.log_history if "eval_sharpe" in row}
    assert list(scores) == [1, 2, 3, 4]
    best = max(scores, key=lambda step: scores[step])
    assert trainer.state.best_model_checkpoint.endswith(f"checkpoint-{best}")
    assert trainer.evaluate()["eval_episode_return"] == scores[best]


def test_validation_is_greedy_and_repeats_itself(make_trainer) -> None:
    trainer = make_trainer()
    first, second = trainer.evaluate(), trainer.evaluate()
    assert {k: v for k, v in first.items() if "runtime" not in k} == {
        k: v for k, v in second.items() if "runtime" not in k
    }


def test_what_is_saved_is_the_agent_without_a_pickle(make_trainer, tmp_path) -> None:
    trainer = make_trainer(max_steps=1)
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    files = {file.name for file in (tmp_path / "saved").iterdir()}
    assert files == {"agent.json", "policy.json", "policy.safetensors"}
    assert json.loads((tmp_path / "saved" / "agent.json").read_text())["observation"]["past_returns"] == 2


def test_the_same_seed_gives_the_same_run_and_another_seed_another(make_trainer) -> None:
    def final(seed: int) -> torch.Tensor:
        trainer = make_trainer(seed=seed)
        trainer.train()
        return torch.cat([p.detach().flatten() for p in trainer.model.parameters()])

    assert torch.equal(final(0), final(0)) and not torch.equal(final(0), final(1))


def test_a_scheme_whose_actions_the_policy_does_not_know_is_refused(make_trainer) -> None:
    with pytest.raises(ValueError, match="policy's actions are.*sell.*'target'.*'0%'.*words for the latter"):
        make_trainer(rules=TradingRules(scheme=Target()))


def test_several_gpus_in_one_process_are_refused_with_the_remedy(make_trainer, monkeypatch) -> None:
    monkeypatch.setattr(FlagConfig, "n_gpu", 2)
    with pytest.raises(ValueError, match="2 GPUs in one process.*accelerate launch"):
        make_trainer()


def test_an_interrupted_run_goes_on_from_its_last_checkpoint(make_trainer, tmp_path) -> None:
    class Interrupt(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == 3:
                raise KeyboardInterrupt

    options = {"max_steps": 4, "save_strategy": "steps", "save_steps": 2, "output_dir": str(tmp_path / "run")}
    with pytest.raises(KeyboardInterrupt):
        make_trainer(callbacks=[Interrupt()], **options).train()
    resumed = make_trainer(**options)
    resumed.train(resume_from_checkpoint=True)
    straight = make_trainer(**{**options, "output_dir": str(tmp_path / "straight")})
    straight.train()
    assert all(torch.equal(weights(resumed)[name], value) for name, value in weights(straight).items())


def test_the_private_names_that_are_relied_on_are_there() -> None:
    """A new TRL or transformers that renames one of these fails here first, by name."""
    written = {**vars(KeepingTrainer), **vars(FlagTrainer)}
    own = {name for name in written if callable(getattr(FlagTrainer, name)) and not name.startswith("__")}
    helpers = {"_samples", "_add", "_measure_step", "_most_of_any_process", "_windows_of_run", "_buffer_file"}
    helpers |= {"_whole", "_advice", "_publish", "_summed", "_run_alike", "_tokens_a_step", "_reuses_rollout"}
    assert all(hasattr(_BaseTrainer, name) for name in own - helpers)
    assert {"_tag_names", "_name", "_paper", "loss_is_scaled_for_ga"} <= set(vars(_BaseTrainer))
    assert hasattr(GradientState, "_set_sync_gradients") and hasattr(Accelerator, "no_sync")
    saving = ("_load_best_model", "_load_from_checkpoint", "_save", "_load_optimizer_and_scheduler")
    assert all(hasattr(Trainer, name) for name in (*saving, "_move_model_to_device", "_prepare_input"))
    assert hasattr(deepspeed, "_hf_deepspeed_config_weak_ref")


def test_rollouts_that_all_did_the_same_push_nowhere(make_trainer, monkeypatch) -> None:
    trainer = make_trainer(num_generations=8, per_device_train_batch_size=1)
    monkeypatch.setattr("flag_trl.trainer.collector.keyed_uniforms", lambda windows, n, *a, **k: np.full((5, n), 0.99))
    samples, metrics = trainer._collector.collect([Window("AAA", 10, 5)], visit=0)
    assert metrics["episode_return"] and not samples.values["advantages"].any()


def test_a_checkpoint_brings_back_what_the_untouched_model_said(make_trainer, tmp_path) -> None:
    options = {"max_steps": 2, "save_strategy": "steps", "save_steps": 2, "output_dir": str(tmp_path / "run")}
    options["kl_coef"] = 0.1
    trainer, other = make_trainer(**options), make_trainer(**options)
    trainer.train()
    other.train(resume_from_checkpoint=True)
    assert other._collector.reference._rows.keys() == trainer._collector.reference._rows.keys()
    assert all(
        np.array_equal(row, trainer._collector.reference._rows[key])
        for key, row in other._collector.reference._rows.items()
    )


def test_validation_without_windows_is_refused(make_trainer) -> None:
    with pytest.raises(ValueError, match="nothing to validate on"):
        make_trainer(validate=False).evaluate()


def test_a_chunk_without_samples_has_a_gradient_of_zero(make_trainer) -> None:
    trainer = make_trainer()
    samples, _ = trainer._collector.collect([Window("AAA", 10, 5)], visit=0)
    count = len(samples.passes(trainer.agent.policy))
    chunks = list(padded(samples, trainer.agent.policy, count + 1))
    assert len(chunks) == count + 1 and chunks[-1]["batch"]["answers"].shape[0] == 1
    trainer.compute_loss(trainer.model, chunks[-1]).backward()
    gradients = [p.grad for p in trainer.model.parameters() if p.requires_grad]
    assert all(gradient is not None and not gradient.any() for gradient in gradients)


@pytest.mark.parametrize("tokens", [1, 200, 5000])
def test_chunks_are_as_many_as_counted(tokens, make_trainer) -> None:
    trainer = make_trainer(forward_batch_tokens=tokens)
    samples, _ = trainer._collector.collect([Window("AAA", 10, 5)], visit=0)
    assert len(samples.passes(trainer.agent.policy)) == len(list(samples.chunks(trainer.agent.policy)))


def test_activations_that_are_recomputed_change_no_weight(make_trainer) -> None:
    same = {"optim": "sgd", "learning_rate": 0.1}
    kept, recomputed = make_trainer(**same), make_trainer(activation_checkpointing=True, **same)
    kept.train()
    recomputed.train()
    for name, value in weights(kept).items():
        torch.testing.assert_close(weights(recomputed)[name], value, atol=1e-6, rtol=0)


def test_a_policy_that_was_left_behind_stays_so_after_a_resume(make_trainer, tmp_path) -> None:
    options = {**PPO, "num_ppo_epochs": 3, "target_kl": 1e-5, "learning_rate": 0.01, "value_head": True}
    options |= {"max_steps": 8, "save_strategy": "steps", "save_steps": 3}
    straight = make_trainer(output_dir=str(tmp_path / "straight"), **options)
    straight.train()
    stopped = [row["stopped"] for row in straight.state.log_history if "stopped" in row]
    assert 1.0 in stopped[:3], "the rollout must have been left before the checkpoint"
    resumed = make_trainer(output_dir=str(tmp_path / "resumed"), **options)
    resumed.train(resume_from_checkpoint=str(tmp_path / "straight" / "checkpoint-3"))
    assert all(torch.equal(weights(resumed)[name], value) for name, value in weights(straight).items())


def test_a_second_train_begins_with_a_rollout_of_its_own(make_trainer) -> None:
    trainer = make_trainer(**PPO, max_steps=3, value_head=True)
    trainer.train()
    trainer.train()
    rolled = [row["step"] for row in trainer.state.log_history if "episode_return" in row]
    assert rolled[-1] == 1


def test_more_minibatches_than_days_are_refused(make_trainer) -> None:
    options = {**PPO, "num_mini_batches": 8, "length": 4}
    with pytest.raises(ValueError, match="num_mini_batches is 8, but .* has 4 distinct days.*lower it"):
        make_trainer(**options, value_head=True).train()


def test_another_precision_or_no_cache_does_not_reuse_the_old_one(make_trainer) -> None:
    trainer = make_trainer()
    agent, cache = trainer.agent, trainer.agent.policy.cache
    arrange(agent, trainer.args)
    assert agent.policy.cache is cache
    trainer.args.trunk_cache_dtype = "float16"
    arrange(agent, trainer.args)
    assert agent.policy.cache is not cache
    trainer.args.trunk_cache = False
    arrange(agent, trainer.args)
    assert agent.policy.cache is None


@pytest.mark.real_model
def test_the_real_model_trains_on_real_prices(real_model: Path, tmp_path) -> None:
    from flag_trl import FlagConfig, LLMPolicy, Period, load_market
    from flag_trl.data import episode_dataset

    markets = {"MSFT": load_market("sample", "MSFT")}
    data = episode_dataset(markets, Period("train", "2019-11-01", "2019-12-31"), length=4)
    agent = Agent(LLMPolicy.from_pretrained(real_model, tuning=Tuning(num_trainable_layers=2)))
    config = FlagConfig(str(tmp_path), max_steps=1, num_generations=2, per_device_train_batch_size=1, use_cpu=True)
    trainer = FlagTrainer(agent, config, markets, TradingRules(fill="same_close"), data)
    before = weights(trainer)
    trainer.train()
    moved = {name for name, after in weights(trainer).items() if not torch.equal(after, before[name])}
    assert moved == set(agent.policy.trainable_names)


def test_deepspeed_s_precision_is_not_that_of_advantages(make_trainer, monkeypatch) -> None:
    """The parent casts every input to it; a log-probability in bfloat16 has three digits."""
    trainer = make_trainer()
    monkeypatch.setattr(trainer, "is_deepspeed_enabled", True)
    given = {"samples": {"advantages": torch.tensor([0.123456789])}, "state": torch.tensor([0])}
    taken = trainer._prepare_inputs(given)
    assert torch.equal(taken["samples"]["advantages"], given["samples"]["advantages"])


def test_under_deepspeed_a_second_training_is_refused(make_trainer, monkeypatch) -> None:
    trainer = make_trainer(max_steps=1)
    monkeypatch.setattr(trainer, "is_deepspeed_enabled", True)
    monkeypatch.setattr(trainer, "model_wrapped", torch.nn.Linear(1, 1))
    with pytest.raises(ValueError, match="train again with a new FlagTrainer"):
        trainer.train()
