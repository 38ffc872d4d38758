"""Options of `FlagTrainer`."""

from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import torch
from transformers.trainer_utils import HubStrategy
from trl.trainer.base_config import _BaseConfig

from flag_trl.policy import Precision, Share

Baseline = Literal["rloo", "batch_mean", "value", "exact", "none"]
LossType = Literal["reinforce", "ppo"]
CacheDtype = Literal["float32", "bfloat16", "float16"]
_CHOICES: dict[str, Any] = {
    "baseline": Baseline,
    "loss_type": LossType,
    "share": Share,
    "trunk_cache_dtype": CacheDtype,
}


@dataclass
class FlagConfig(_BaseConfig):
    """
    Configuration of [`FlagTrainer`]: TRL's and transformers' training arguments and those of policy-gradient trading.

    ``per_device_train_batch_size`` counts market windows, each with ``num_generations`` rollouts; ``max_steps`` and
    ``num_train_epochs`` count as everywhere in transformers.

    Parameters:
        num_generations (`int`, *optional*, defaults to `8`):
            Rollouts a window. They stay on one process and form each other's baseline.
        baseline (`str`, *optional*, defaults to `"rloo"`):
            How an action is judged: by its return-to-go less the mean of the window's other rollouts at the same step
            (`rloo`), less the mean of all of them, itself included (`batch_mean`), by generalised advantage estimation
            with a value head (`value`), against every other action by recursion over the account's positions, without
            sampling (`exact`), or by its return-to-go alone (`none`).
        lam (`float`, *optional*, defaults to `0.95`):
            Lambda of GAE, with `baseline: value`.
        vf_coef (`float`, *optional*, defaults to `0.5`):
            Weight of the value loss, with `baseline: value`.
        cliprange_value (`float`, *optional*, defaults to `0.2`):
            How far the value may leave the rollout's before its loss stops pulling.
        loss_type (`str`, *optional*, defaults to `"reinforce"`):
            `reinforce`, or `ppo`: the clipped ratio, which lets a rollout be used several times.
        num_ppo_epochs (`int`, *optional*, defaults to `1`):
            Times that a rollout is gone through, with `loss_type: ppo`. Each pass is `num_mini_batches` updates.
        num_mini_batches (`int`, *optional*, defaults to `1`):
            Parts into which a rollout's days are dealt, an update each, with `loss_type: ppo`.
        cliprange (`float`, *optional*, defaults to `0.2`):
            Clip range of the ratio of new to old probability, with `loss_type: ppo`.
        target_kl (`float`, *optional*):
            Stop using a rollout once KL(old || new) exceeds this, with `loss_type: ppo`.
        gamma (`float`, *optional*, defaults to `1.0`):
            Discount a step. Below 1 the loss drops the factor gamma^t, as is usual, and its gradient is no longer that
            of the discounted objective.
        entropy_coef (`float`, *optional*, defaults to `0.01`):
            Weight of the entropy bonus, exact over the legal actions.
        kl_coef (`float`, *optional*, defaults to `0.0`):
            Weight of KL(policy || untouched model), exact over the legal actions. At 0 it is not measured.
        scale_advantages (`bool`, *optional*, defaults to `True`):
            Divide advantages by their standard deviation over all processes' micro-batches, so that the entropy and KL
            weights mean the same whatever the size of the rewards.
        forward_batch_tokens (`int`, *optional*, defaults to `4096`):
            Tokens a forward or backward pass: bounds the memory, and changes results by rounding alone.
        share (`str`, *optional*, defaults to `"prefixes"`):
            What is computed once: `prefixes` (what prompts begin alike, and equal prompts), `states` (equal prompts)
            or `none`. Changes results by rounding alone.
        table_rollouts (`bool`, *optional*, defaults to `True`):
            Evaluate all states of a window at once and simulate its rollouts from that.
        trunk_cache (`bool`, *optional*, defaults to `True`):
            Keep the frozen layers' hidden states of each text.
        trunk_cache_dir (`str`, *optional*):
            Where later runs find them; by default beside the Hub's cache; `none` writes nothing.
        trunk_cache_memory_gb (`float`, *optional*, defaults to `2.0`):
            What they may take in memory; beyond it they are read from disk.
        trunk_cache_disk_gb (`float`, *optional*, defaults to `10.0`):
            What one model's files may take.
        trunk_cache_dtype (`str`, *optional*, defaults to `"float32"`):
            Precision in which they are kept; half precision halves the space and costs digits.
        decisions_steps (`int`, *optional*, defaults to `10`):
            Every so many updates, log a table of sample decisions where `report_to` says TensorBoard or Trackio: date,
            what was known, probabilities, action, reward, advantage. 0 for never.
        num_decisions (`int`, *optional*, defaults to `8`):
            Decisions a table.
    """

    num_generations: int = field(
        default=8,
        metadata={"help": "Rollouts a window. They stay on one process and form each other's baseline."},
    )
    baseline: Baseline = field(
        default="rloo",
        metadata={
            "help": "How an action is judged: by its return-to-go less the mean of the window's other rollouts at "
            "the same step (`rloo`), less the mean of all of them, itself included (`batch_mean`), by generalised "
            "advantage estimation with a value head (`value`), against every other action by recursion over the "
            "account's positions, without sampling (`exact`), or by its return-to-go alone (`none`).",
        },
    )
    lam: float = field(default=0.95, metadata={"help": "Lambda of GAE, with `baseline: value`."})
    vf_coef: float = field(default=0.5, metadata={"help": "Weight of the value loss, with `baseline: value`."})
    cliprange_value: float = field(
        default=0.2,
        metadata={"help": "How far the value may leave the rollout's before its loss stops pulling."},
    )
    loss_type: LossType = field(
        default="reinforce",
        metadata={
            "help": "`reinforce`, or `ppo`: the clipped ratio, which lets a rollout be used several times.",
        },
    )
    num_ppo_epochs: int = field(
        default=1,
        metadata={
            "help": "Times that a rollout is gone through, with `loss_type: ppo`. Each pass is `num_mini_batches` "
            "updates."
        },
    )
    num_mini_batches: int = field(
        default=1,
        metadata={"help": "Parts into which a rollout's days are dealt, an update each, with `loss_type: ppo`."},
    )
    cliprange: float = field(
        default=0.2, metadata={"help": "Clip range of the ratio of new to old probability, with `loss_type: ppo`."}
    )
    target_kl: float | None = field(
        default=None,
        metadata={"help": "Stop using a rollout once KL(old || new) exceeds this, with `loss_type: ppo`."},
    )
    gamma: float = field(
        default=1.0,
        metadata={
            "help": "Discount a step. Below 1 the loss drops the factor gamma^t, as is usual, and its gradient is no "
            "longer that of the discounted objective."
        },
    )
    entropy_coef: float = field(
        default=0.01, metadata={"help": "Weight of the entropy bonus, exact over the legal actions."}
    )
    kl_coef: float = field(
        default=0.0,
        metadata={
            "help": "Weight of KL(policy || untouched model), exact over the legal actions. At 0 it is not measured."
        },
    )
    scale_advantages: bool = field(
        default=True,
        metadata={
            "help": "Divide advantages by their standard deviation over all processes' micro-batches, so that the "
            "entropy and KL weights mean the same whatever the size of the rewards."
        },
    )
    forward_batch_tokens: int = field(
        default=4096,
        metadata={
            "help": "Tokens a forward or backward pass: bounds the memory, and changes results by rounding alone."
        },
    )
    share: Share = field(
        default="prefixes",
        metadata={
            "help": "What is computed once: `prefixes` (what prompts begin alike, and equal prompts), `states` (equal "
            "prompts) or `none`. Changes results by rounding alone.",
        },
    )
    table_rollouts: bool = field(
        default=True,
        metadata={"help": "Evaluate all states of a window at once and simulate its rollouts from that."},
    )
    trunk_cache: bool = field(default=True, metadata={"help": "Keep the frozen layers' hidden states of each text."})
    trunk_cache_dir: str | None = field(
        default=None,
        metadata={"help": "Where later runs find them; by default beside the Hub's cache; `none` writes nothing."},
    )
    trunk_cache_memory_gb: float = field(
        default=2.0, metadata={"help": "What they may take in memory; beyond it they are read from disk."}
    )
    trunk_cache_disk_gb: float = field(default=10.0, metadata={"help": "What one model's files may take."})
    trunk_cache_dtype: CacheDtype = field(
        default="float32",
        metadata={
            "help": "Precision in which they are kept; half precision halves the space and costs digits.",
        },
    )

    decisions_steps: int = field(
        default=10,
        metadata={
            "help": "Every so many updates, log a table of sample decisions where `report_to` says TensorBoard or "
            "Trackio: date, what was known, probabilities, action, reward, advantage. 0 for never."
        },
    )
    num_decisions: int = field(default=8, metadata={"help": "Decisions a table."})

    # Defaults of the parent class that do not suit this trainer.
    gradient_checkpointing: bool | None = field(  # type: ignore[assignment]
        default=None,
        metadata={
            "help": "Deprecated name of `activation_checkpointing`, off by default: frozen layers keep nothing."
        },
    )
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Must stay False: the dataset's columns name windows, not model inputs."}
    )
    dataloader_pin_memory: bool = field(
        default=False, metadata={"help": "Nothing to pin: batches name windows, their tensors are made in the step."}
    )
    metric_for_best_model: str | None = field(
        default="episode_return", metadata={"help": "Validation measure by which the best checkpoint is kept."}
    )
    greater_is_better: bool | None = field(
        default=True, metadata={"help": "Whether a larger `metric_for_best_model` is better."}
    )
    hub_strategy: HubStrategy | str = field(
        default="end",
        metadata={"help": "When to publish: at the `end`, or each checkpoint's agent with `every_save`."},
    )
    logging_steps: float = field(default=1, metadata={"help": "Log every so many updates."})

    def __post_init__(self) -> None:
        if self.bf16 is None:
            # The parent would choose bf16 on a CPU too, where most processors run it at a third of fp32's speed.
            on_gpu = not self.use_cpu and torch.cuda.is_available()
            self.bf16 = not self.fp16 and on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        if self.ddp_find_unused_parameters is None:
            # Every trained weight is in every pass; the parent would have DDP look for others.
            self.ddp_find_unused_parameters = False
        super().__post_init__()
        for name, kind in _CHOICES.items():
            if getattr(self, name) not in get_args(kind):
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(get_args(kind))}")
        self._check_estimator()
        if not 0.0 < self.gamma <= 1.0:
            raise ValueError(f"gamma is {self.gamma}; it must lie in (0, 1]")
        if self.remove_unused_columns:
            raise ValueError(
                "remove_unused_columns must be False: the dataset's columns name windows, not model inputs"
            )
        strategy = HubStrategy(self.hub_strategy)
        if self.push_to_hub and strategy not in (HubStrategy.END, HubStrategy.EVERY_SAVE):
            raise ValueError(
                f"hub_strategy is {strategy.value}; checkpoints hold pickles of the optimiser's "
                "state, which are never uploaded: choose end, or every_save for the agent of each checkpoint"
            )
        if self.decisions_steps < 0 or self.num_decisions < 1:
            raise ValueError(
                f"decisions_steps is {self.decisions_steps} and num_decisions {self.num_decisions}; the first must be "
                "at least 0, the second at least 1"
            )
        if self.forward_batch_tokens < 1:
            raise ValueError(f"forward_batch_tokens is {self.forward_batch_tokens}; it must be at least 1")

    @property
    def uses(self) -> int:
        """Updates for which a rollout serves."""
        return self.num_ppo_epochs * self.num_mini_batches

    @property
    def windows_an_update(self) -> int:
        """Of all processes and micro-batches."""
        return int(self.per_device_train_batch_size * self.gradient_accumulation_steps * self.world_size)

    @property
    def precision(self) -> Precision:
        """Of the layers: bf16, fp16 or fp32."""
        return "bf16" if self.bf16 else "fp16" if self.fp16 else "fp32"

    def _check_estimator(self) -> None:
        """Raise ValueError where the options of baseline and loss do not fit together."""
        if self.num_generations < 1 or (self.baseline in ("rloo", "batch_mean") and self.num_generations < 2):
            raise ValueError(
                f"num_generations is {self.num_generations}; {self.baseline} needs at least "
                f"{2 if self.baseline in ('rloo', 'batch_mean') else 1} rollouts a window"
            )
        for name in ("num_ppo_epochs", "num_mini_batches"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("cliprange", "cliprange_value"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be above 0")
        if not 0.0 <= self.lam <= 1.0:
            raise ValueError(f"lam is {self.lam}; it must lie in [0, 1]")
        if self.loss_type == "reinforce" and (self.uses > 1 or self.target_kl is not None):
            raise ValueError(
                "num_ppo_epochs, num_mini_batches and target_kl reuse a rollout, which REINFORCE cannot: after one "
                "update its samples are another policy's. Set loss_type: ppo"
            )
        if self.target_kl is not None and (self.target_kl <= 0 or self.fp16):
            raise ValueError(
                f"target_kl is {self.target_kl}; it must be above 0, and fp16's gradient scaler cannot skip an "
                "update: use bf16"
            )
        if self.loss_type == "ppo" and self.baseline == "exact":
            raise ValueError("baseline exact has no sampled actions whose ratio could be clipped; use reinforce")
