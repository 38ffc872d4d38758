"""REINFORCE over whole trading episodes, as a sibling of TRL's trainers."""

import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import nn
from transformers import ProgressCallback, TrainerCallback
from transformers.integrations import is_deepspeed_zero3_enabled
from trl.trainer.base_trainer import _BaseTrainer

from flag_trl.agent import Agent, Trajectory, play
from flag_trl.data import MarketData, Window
from flag_trl.envs import TradingRules
from flag_trl.trainer.advantages import advantages
from flag_trl.trainer.flag_config import FlagConfig
from flag_trl.trainer.losses import reinforce_loss
from flag_trl.trainer.monitor import learning_metrics, trading_metrics
from flag_trl.trainer.progress import TradingProgress
from flag_trl.trainer.reference import ReferenceLogProbs
from flag_trl.trainer.rollouts import Rollout, keyed_uniforms

# Rewards are returns or Sharpe ratios: far below one, and far above this wherever two rollouts differ by a trade.
NEGLIGIBLE = 1e-12


class FlagTrainer(_BaseTrainer):
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
        If the policy's actions are not the scheme's.
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
        agent.batch_size = args.forward_batch_size
        self.agent = agent
        self.markets = markets
        self.rules = rules
        self._observer = agent.observer(markets, rules.fill)
        self._reference = ReferenceLogProbs(agent.policy, args.forward_batch_size)
        self._metrics: dict[str, list[float]] = defaultdict(list)
        super().__init__(
            model=agent.policy,
            args=args,
            data_collator=_windows,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            processing_class=agent.policy.tokenizer,
            callbacks=callbacks,
        )
        if is_deepspeed_zero3_enabled():
            raise ValueError("ZeRO-3 shards the weights that rollouts read, which is not supported yet; use ZeRO-2")
        agent.trained_on = _trained_on(rules, markets, train_dataset)
        if not args.disable_tqdm:
            # The stock bar prints every log as a dictionary and judges the remaining time by the last steps alone.
            self.remove_callback(ProgressCallback)
            self.add_callback(TradingProgress())

    def training_step(
        self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Roll out the batch's windows, then run the parent's step chunk by chunk so that memory stays bounded."""
        began = time.monotonic()
        rollout = self._collect(inputs["windows"])
        chunks = self._as_many_on_every_process(list(rollout.chunks(self.args.forward_batch_size)))
        gradients = self.accelerator.gradient_state
        last_of_step = gradients.sync_gradients
        loss = torch.zeros((), device=self.args.device)
        for number, chunk in enumerate(chunks, 1):
            last = number == len(chunks)
            # Processes exchange gradients once an update, with the last chunk of the last micro-batch.
            gradients._set_sync_gradients(last_of_step and last)
            with nullcontext() if last else self.accelerator.no_sync(model):
                loss += super().training_step(model, chunk)
        rate = rollout.trajectory.active.sum() / (time.monotonic() - began)
        self._metrics["transitions_per_second"].append(rate * self.accelerator.num_processes)
        return loss

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Evaluate each distinct state once and sum the loss over the samples that passed through it."""
        log_probs = model(inputs["input_ids"], inputs["lengths"], inputs["legal"])
        return reinforce_loss(
            log_probs[inputs["state"]],
            inputs["reference"][inputs["state"]],
            inputs["actions"],
            inputs["advantages"],
            inputs["denominator"],
            self.args.entropy_coef,
            self.args.kl_coef,
        )

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
        windows = _windows(list(dataset))["windows"]
        began = time.monotonic()
        trajectory = self._play(windows, None)
        found = self._trading_metrics(trajectory, windows)
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

    def _collect(self, windows: list[Window]) -> Rollout:
        """Trade each window `num_generations` times, drawing actions by number."""
        args = self.args
        uniforms = keyed_uniforms(windows, args.num_generations, args.seed, visit=int(self.state.epoch or 0))
        accounts = [window for window in windows for _ in range(args.num_generations)]
        trajectory = self._play(accounts, uniforms)
        states = self.agent.encode([o for day in trajectory.observations for o in day])
        judged = advantages(trajectory.rewards, args.gamma, args.baseline, args.num_generations)
        rollout = Rollout(trajectory, states, self._scaled(judged, trajectory.active), self._reference(states))
        learning = learning_metrics(rollout, judged[trajectory.active])
        measured = {**self._trading_metrics(trajectory, accounts), **learning}
        for key, value in measured.items():
            self._metrics[key].append(value)
        return rollout

    def _as_many_on_every_process(self, chunks: list[dict[str, torch.Tensor]]) -> list[dict[str, torch.Tensor]]:
        """Chunks followed by some without samples, whose gradient is zero: processes that exchange gradients wait."""
        count = torch.tensor([len(chunks)], device=self.args.device)
        longest = int(self.accelerator.gather(count).max())
        empty = {key: chunks[0][key][:0] for key in ("state", "actions", "advantages")}
        return chunks + [{**chunks[0], **empty}] * (longest - len(chunks))

    def _play(self, windows: list[Window], uniforms: np.ndarray | None) -> Trajectory:
        env = self.rules.make(self.markets, len(windows))
        return play(self.agent, env, self._observer, windows, uniforms)

    def _trading_metrics(self, trajectory: Trajectory, windows: list[Window]) -> dict[str, float]:
        """Measures of the episodes, and the log return of holding the asset through the same windows."""
        held = [self.markets[w.symbol].close[[w.start, w.start + w.length]] for w in windows]
        periods = [self.markets[w.symbol].periods_per_year for w in windows]
        metrics = trading_metrics(trajectory, self.rules.scheme.actions, periods)
        return {**metrics, "buy_and_hold": float(np.mean([np.log(last / first) for first, last in held]))}

    def _scaled(self, values: np.ndarray, active: np.ndarray) -> np.ndarray:
        """Advantages over their deviation; zero where rollouts that all did the same leave nothing but rounding."""
        spread = values[active].std()
        if not self.args.scale_advantages:
            return values
        return values / spread if spread > NEGLIGIBLE else np.zeros_like(values)

    # Checkpoints hold the trained weights and what the agent is shown, not the base model nor a pickle of the
    # arguments.
    def _save(self, output_dir: str | None = None, state_dict: dict[str, torch.Tensor] | None = None) -> None:
        if not self.args.should_save:
            return
        folder = output_dir or str(self.args.output_dir)
        self.agent.policy.save_pretrained(folder, state_dict)
        self.agent.save_config(folder)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            self._reference.save(output_dir)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        self.agent.policy.load_trained(resume_from_checkpoint)
        self._reference.load(resume_from_checkpoint)

    def _load_best_model(self) -> None:
        self.agent.policy.load_trained(str(self.state.best_model_checkpoint))


def _trained_on(
    rules: TradingRules, markets: Mapping[str, MarketData], dataset: Dataset | None
) -> dict[str, str] | None:
    """What a saved agent must be compared with before it is tested: its rules and its days."""
    if not dataset:
        return None
    first = min(dataset["start_date"])
    last = max(
        markets[symbol].dates[start + length]
        for symbol, start, length in zip(dataset["symbol"], dataset["start"], dataset["length"], strict=True)
    )
    symbols = ", ".join(sorted(set(dataset["symbol"])))
    return {"symbols": symbols, "first_day": first, "last_day": str(last), **rules.identity}


def _windows(rows: list[dict[str, Any]]) -> dict[str, list[Window]]:
    """Collate rows of an episode dataset."""
    return {"windows": [Window(row["symbol"], row["start"], row["length"]) for row in rows]}
