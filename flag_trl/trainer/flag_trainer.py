"""Policy gradient over whole trading episodes, as a sibling of TRL's trainers."""

import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate.utils import gather_object
from datasets import Dataset
from torch import nn
from torch.utils.data import Sampler
from transformers import ProgressCallback, TrainerCallback, TrainerState
from transformers.trainer import TRAINER_STATE_NAME

from flag_trl.agent import Agent
from flag_trl.data import MarketData, Window
from flag_trl.envs import TradingRules
from flag_trl.trainer.checkpoints import check_writable
from flag_trl.trainer.collector import Collector
from flag_trl.trainer.decisions import DecisionLog
from flag_trl.trainer.flag_config import FlagConfig
from flag_trl.trainer.interruption import Interruption
from flag_trl.trainer.keeping import KeepingTrainer
from flag_trl.trainer.launch import check_launch, check_resume, check_shards, launch_in_words
from flag_trl.trainer.losses import exact_loss, kl_divergence, ppo_loss, reinforce_loss, value_loss
from flag_trl.trainer.preparation import arrange, fill_cache, trained_on
from flag_trl.trainer.progress import TradingProgress
from flag_trl.trainer.sampler import ReusingSampler
from flag_trl.trainer.samples import Samples, padded
from flag_trl.trainer.sharding import sharded, whole_weights

BUFFER = "rollout-{process}-{slot}.safetensors"


class FlagTrainer(KeepingTrainer):
    """Trains a language model on what its trades pay.

    A batch is a few market windows. Each is traded ``num_generations`` times by the current policy, and the
    log-probability of each action rises or falls with the return that followed it, less a baseline. Nothing is
    generated and nothing is parsed: an action is a token.

    Parameters
    ----------
    agent : Agent
        The policy to train and what it is shown. Trained in place.
    args : FlagConfig
    markets : mapping of str to MarketData
        By symbol, for the windows of both datasets.
    rules : TradingRules
        How accounts trade. The scheme's actions must be the policy's.
    train_dataset, eval_dataset : datasets.Dataset
        Rows of `flag_trl.data.episode_dataset`. Validation is greedy, one account a window.
    callbacks : list of TrainerCallback, optional

    Raises
    ------
    ValueError
        If the policy's actions are not the scheme's, or the estimator does not fit the rules.
    """

    _tag_names = ["trl", "flag-trl", "trading"]
    _name = "FLAG-Trader"
    _paper = {
        "title": "FLAG-Trader: Fusion LLM-Agent with Gradient-based Reinforcement Learning for Financial Trading",
        "id": "2502.11433",
    }
    # Every micro-batch's loss is a mean over its own samples, so the parent divides by the accumulation steps.
    loss_is_scaled_for_ga = False  # type: ignore[assignment]
    args: FlagConfig

    def __init__(
        self,
        agent: Agent,
        args: FlagConfig,
        markets: Mapping[str, MarketData],
        rules: TradingRules,
        train_dataset: Dataset | None = None,
        eval_dataset: Dataset | None = None,
        callbacks: list[TrainerCallback] | None = None,
    ) -> None:
        agent.check_actions(rules.scheme)
        if args.n_gpu > 1:
            raise ValueError(
                f"{args.n_gpu} GPUs in one process would be torch's DataParallel, which is not supported; "
                "start one process a GPU: accelerate launch --config_file accelerate_configs/multi_gpu.yaml ..."
            )
        self.agent = agent
        self.markets = markets
        if rules.reward == "timing_return" and rules.drift is None and train_dataset is not None:
            rules = rules.with_drift(markets, _windows(list(train_dataset))["windows"])
        self.rules = rules
        self._collector = Collector(agent, args, markets, rules)
        self._decisions = DecisionLog(args, markets, rules.scheme.actions)
        self._metrics: dict[str, list[float]] = defaultdict(list)
        self._sums: dict[str, float] = defaultdict(float)
        self._rollouts: dict[int, Samples] = {}
        self._batches_done: int | None = None
        self._left_old_policy = False
        super().__init__(
            model=agent.policy,
            args=args,
            data_collator=_windows,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=agent.policy.tokenizer,
            callbacks=callbacks,
        )
        check_launch(self.accelerator)
        check_shards(self.accelerator, agent.observation.chart_bars, agent.policy)
        if args.target_kl is not None and self.is_deepspeed_enabled:
            raise ValueError("target_kl drops an update, which DeepSpeed's optimiser does not offer; leave it out")
        self._collector.over_processes = self._summed
        self._collector.reference.over_processes = lambda rows: gather_object([rows])
        if self.is_deepspeed_enabled:
            # DeepSpeed would place it when the training begins, after the frozen layers' states were computed.
            self._move_model_to_device(agent.policy, args.device)
            if args.should_save:
                # Of the weights as they were loaded, before it casts and shards them.
                _ = agent.policy.base_digest
        # Now that the model is where it trains: states computed elsewhere are other states.
        arrange(agent, args)
        agent.trained_on = trained_on(rules, markets, train_dataset)
        self._interruption = Interruption(self.accelerator)
        self.add_callback(self._interruption)
        if not args.disable_tqdm:
            # The stock bar prints every log as a dictionary and judges the remaining time by the last steps alone.
            self.remove_callback(ProgressCallback)
            self.add_callback(TradingProgress())

    def train(self, resume_from_checkpoint: str | bool | None = None, *args: Any, **kwargs: Any) -> Any:
        """Fill the cache of the frozen layers, then train as the parent does.

        SIGINT and SIGTERM end it after the update under way, with a checkpoint; see `interrupted`. A checkpoint that
        was cut short or damaged is not gone on from; with ``True``, the newest whole one is.
        """
        if self.is_deepspeed_enabled and self.model_wrapped is not self.model:
            raise ValueError(
                "DeepSpeed's engine keeps the first training's optimiser; train again with a new FlagTrainer"
            )
        resume = self._whole(resume_from_checkpoint)
        if resume is not None:
            check_resume(self.accelerator, Path(resume), self.args.windows_an_update, self._reuses_rollout(resume))
        self._rollouts.clear()
        self._batches_done, self._left_old_policy = None, False
        check_writable(Path(str(self.args.output_dir)))
        windows, everybody = self._windows_of_run(), self.accelerator.wait_for_everyone
        launch = launch_in_words(self.accelerator, self.agent.policy, self._tokens_a_step())
        fill_cache(self.agent, self.args, self._collector, windows, launch, everybody)
        with self._interruption.heeded():
            return super().train(resume, *args, **kwargs)

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        """As the parent, which looks whether training is over after an update alone, and would make one too many."""
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(*args, **kwargs)

    @property
    def interrupted(self) -> int:
        """Number of the signal that ended the last training before its end; 0 if none did."""
        return self._interruption.number

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Roll out the batch's windows, then run the parent's step chunk by chunk so that memory stays bounded."""
        began = time.monotonic()
        samples = self._samples(inputs["windows"])
        loss = torch.zeros((), device=self.args.device)
        if samples is None:
            self._metrics["stopped"].append(1.0)
            return loss
        passes = samples.passes(self.agent.policy)
        count = self._most_of_any_process(len(passes))
        gradients = self.accelerator.gradient_state
        last_of_step = gradients.sync_gradients
        in_shards = sharded(model)
        for number, chunk in enumerate(padded(samples, self.agent.policy, count, fill=not in_shards), 1):
            last = number == count
            if in_shards:
                self._run_alike(chunk["batch"])
            # Processes exchange gradients once an update, with the last chunk of the last micro-batch; with each chunk
            # under ZeRO-2 and 3, which keep no whole gradient.
            gradients._set_sync_gradients(last_of_step and last)
            with nullcontext() if last else self.accelerator.no_sync(model):
                loss += super().training_step(model, chunk)
        # All processes stop together: their gradients are one by now.
        if not self._summed(np.isfinite([loss.item()]).astype(float))[0] == self.accelerator.num_processes:
            raise FloatingPointError(self._advice(f"the loss of update {self.state.global_step + 1} is {loss.item()}"))
        self._measure_step(model, len(samples.states.index), sum(passes), time.monotonic() - began)
        return loss

    def _prepare_input(self, data: Any) -> Any:
        """Move tensors, and cast none: the parent brings all to DeepSpeed's precision, log-probabilities too."""
        if isinstance(data, Mapping):
            return {name: self._prepare_input(value) for name, value in data.items()}
        return data.to(self.args.device) if isinstance(data, torch.Tensor) else data

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Evaluate each distinct state once and sum the loss over the samples that passed through it."""
        args, given, state, denominator = self.args, inputs["samples"], inputs["state"], inputs["denominator"]
        outputs = model(inputs["batch"])
        log_probs = outputs.log_probs[state]
        # Without a penalty nobody asked what the untouched model says, and the policy differs from itself by nothing.
        reference = inputs["reference"][state] if "reference" in inputs else log_probs.detach()
        common = {"entropy_coef": args.entropy_coef, "kl_coef": args.kl_coef, "denominator": denominator}
        if "reference" in inputs:
            self._add("kl", kl_divergence(log_probs, reference) * given.get("occupancy", 1.0), denominator)
        if args.baseline == "exact":
            return exact_loss(log_probs, reference, given["advantages"], given["occupancy"], **common)
        actions, advantages = given["actions"], given["advantages"]
        if args.loss_type == "ppo":
            old = given["old_log_probs"]
            self._add("policy_kl", kl_divergence(old, log_probs), denominator)
            taken = old.gather(-1, actions[:, None])[:, 0]
            loss = ppo_loss(log_probs, reference, actions, advantages, taken, cliprange=args.cliprange, **common)
        else:
            loss = reinforce_loss(log_probs, reference, actions, advantages, **common)
        if args.baseline == "value":
            expected = outputs.values[state]
            error = value_loss(expected, given["old_values"], given["returns"], denominator, args.cliprange_value)
            self._add("value_loss", error * denominator, denominator)
            loss = loss + args.vf_coef * error
        return loss

    def evaluate(
        self,
        eval_dataset: Dataset | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Trade every validation window greedily, all side by side.

        Returns
        -------
        dict of str to float
            The measures of `trading_metrics`, each with the prefix.
        """
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        if not isinstance(dataset, Dataset):
            raise ValueError("there is nothing to validate on: give FlagTrainer one eval_dataset of windows")
        began = time.monotonic()
        with whole_weights(self.model_wrapped):
            found = self._collector.greedy(_windows(list(dataset))["windows"])
        metrics = {f"{metric_key_prefix}_{key}": value for key, value in found.items()}
        metrics[f"{metric_key_prefix}_runtime"] = time.monotonic() - began
        super().log(dict(metrics))
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add what the rollouts since the last log measured, averaged over processes."""
        if self._metrics:
            means = torch.tensor([float(np.mean(values)) for values in self._metrics.values()])
            reduced = self.accelerator.reduce(means.to(self.args.device), "mean")
            logs = {**logs, **dict(zip(self._metrics, reduced.tolist(), strict=True))}
            self._metrics.clear()
        super().log(logs, start_time)

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> Sampler | None:
        """Windows come round as often as their rollout is used."""
        args = self.args
        dataset: Any = self.train_dataset if train_dataset is None else train_dataset
        if args.uses == 1 or dataset is None:
            return super()._get_train_sampler(train_dataset)
        return ReusingSampler(len(dataset), args.windows_an_update, args.uses, args.seed)

    def _samples(self, windows: list[Window]) -> Samples | None:
        """The samples of this micro-batch: a new rollout's, or the next part of one that is still in use.

        None where the policy has moved too far from that which made the rollout.
        """
        args = self.args
        if self._batches_done is None:
            self._batches_done = self.state.global_step * args.gradient_accumulation_steps
        turn, slot = divmod(self._batches_done, args.gradient_accumulation_steps)
        cycle, use = divmod(turn, args.uses)
        self._batches_done += 1
        if use == 0:
            self._left_old_policy = False
            with whole_weights(self.model_wrapped):
                self._rollouts[slot], metrics = self._collector.collect(windows, visit=int(self.state.epoch or 0))
            for key, value in metrics.items():
                self._metrics[key].append(value)
            if slot == 0 and self.is_world_process_zero():
                self._decisions.show(self._collector.last, self.state.global_step, self.callback_handler.callbacks)
        elif self._left_old_policy:
            return None
        if slot not in self._rollouts:
            raise ValueError(
                "the checkpoint holds no rollout for this process and micro-batch; resume with as many processes and "
                "gradient_accumulation_steps as the run that wrote it"
            )
        epoch, part = divmod(use, args.num_mini_batches)
        deal = (args.seed, cycle, epoch, slot, args.process_index)
        return self._rollouts[slot].minibatch(part, args.num_mini_batches, deal)

    def _add(self, name: str, values: torch.Tensor, denominator: torch.Tensor) -> None:
        """Add to a mean over the decisions of this step."""
        self._sums[name] += float(values.detach().sum() / denominator)

    def _measure_step(self, model: nn.Module, samples: int, tokens: int, seconds: float) -> None:
        """Note what the step measured; drop its gradient if the policy has left the rollout's too far behind."""
        target = self.args.target_kl
        if target is not None:
            moved = torch.tensor(self._sums["policy_kl"], device=self.args.device)
            if float(self.accelerator.reduce(moved, "mean")) > target:
                self._left_old_policy = True
                # Without a gradient the optimiser leaves weights and moments alone.
                model.zero_grad(set_to_none=True)
            self._metrics["stopped"].append(float(self._left_old_policy))
        for name, value in self._sums.items():
            self._metrics[name].append(value)
        self._sums.clear()
        for name, count in (("transitions_per_second", samples), ("tokens_per_second", tokens)):
            self._metrics[name].append(count / seconds * self.accelerator.num_processes)

    def _summed(self, values: np.ndarray) -> np.ndarray:
        """The sum over processes, so that several scale advantages as one would that has all their windows."""
        if self.accelerator.num_processes == 1:
            return values
        found: np.ndarray = self.accelerator.reduce(torch.from_numpy(values).to(self.args.device), "sum").cpu().numpy()
        return found

    def _most_of_any_process(self, count: int) -> int:
        """Processes that exchange gradients wait for one another, so each takes as many passes as the longest."""
        return int(self.accelerator.gather(torch.tensor([count], device=self.args.device)).max())

    def _run_alike(self, batch: dict[str, torch.Tensor]) -> None:
        """Under ZeRO-3 a layer runs on all processes or on none: let the frozen ones run where one has to run them."""
        held = self._summed(np.array([float("hidden" in batch)]))[0]
        if held < self.accelerator.num_processes:
            batch.pop("hidden", None)

    def _tokens_a_step(self) -> int | None:
        """At most, of all processes, told by the first windows; None where only their trading tells."""
        args = self.args
        if not isinstance(self.train_dataset, Dataset):
            return None
        first = self.train_dataset.select(range(min(args.per_device_train_batch_size, len(self.train_dataset))))
        tokens = self._collector.tokens(_windows(list(first))["windows"])
        times = args.gradient_accumulation_steps * args.world_size / args.num_mini_batches
        return None if tokens is None else round(tokens * times)

    def _windows_of_run(self) -> list[Window]:
        """Windows that the run is certain to trade; none of training where it ends before it has seen them all."""
        args = self.args
        rows: list[dict[str, Any]] = []
        if isinstance(self.train_dataset, Dataset):
            seen = (
                args.max_steps * args.windows_an_update // args.uses if args.max_steps > 0 else len(self.train_dataset)
            )
            rows += list(self.train_dataset) if seen >= len(self.train_dataset) else []
        if isinstance(self.eval_dataset, Dataset) and args.eval_strategy != "no":
            rows += list(self.eval_dataset)
        return _windows(rows)["windows"]

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        # Any process may be the first to get here.
        Path(output_dir).mkdir(parents=True, exist_ok=True)
        if self.args.should_save:
            self._collector.reference.save(output_dir)
        if self.args.uses > 1:
            for slot, samples in self._rollouts.items():
                samples.save(self._buffer_file(output_dir, slot), left=self._left_old_policy)

    def _reuses_rollout(self, checkpoint: str) -> bool:
        """Whether a checkpoint stands between two uses of one rollout."""
        state = TrainerState.load_from_json(str(Path(checkpoint) / TRAINER_STATE_NAME))
        return state.global_step % self.args.uses != 0

    def _buffer_file(self, folder: str, slot: int) -> Path:
        """Where a checkpoint keeps a rollout that is still in use; each process has its own."""
        return Path(folder) / BUFFER.format(process=self.args.process_index, slot=slot)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        self._collector.reference.load(checkpoint)
        for slot in range(self.args.gradient_accumulation_steps):
            file = self._buffer_file(checkpoint, slot)
            if file.is_file():
                self._rollouts[slot], self._left_old_policy = Samples.load(file)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        # Not called under DeepSpeed, which restores weights with its optimiser's state.
        self.agent.policy.load_trained(resume_from_checkpoint)

    def _load_best_model(self) -> None:
        with whole_weights(self.model_wrapped, write=True):
            self.agent.policy.load_trained(str(self.state.best_model_checkpoint))


def _windows(rows: list[dict[str, Any]]) -> dict[str, list[Window]]:
    """Collate rows of an episode dataset."""
    return {"windows": [Window(row["symbol"], row["start"], row["length"]) for row in rows]}
