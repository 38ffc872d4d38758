"""Options of `FlagTrainer`."""

from dataclasses import dataclass, field

import torch
from trl.trainer.base_config import _BaseConfig

BASELINES = ("rloo", "none")


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
            What is subtracted from the return-to-go: `"rloo"` (at each step the mean return-to-go of the window's
            other rollouts) or `"none"`.
        gamma (`float`, *optional*, defaults to `1.0`):
            Discount a step. Below 1 the loss drops the factor gamma^t, as is usual, and its gradient is no longer that
            of the discounted objective.
        entropy_coef (`float`, *optional*, defaults to `0.01`):
            Weight of the entropy bonus, exact over the legal actions.
        kl_coef (`float`, *optional*, defaults to `0.0`):
            Weight of KL(policy || untouched model), exact over the legal actions.
        scale_advantages (`bool`, *optional*, defaults to `True`):
            Divide advantages by their standard deviation over the micro-batch, so that the entropy and KL weights mean
            the same whatever the size of the rewards.
        forward_batch_size (`int`, *optional*, defaults to `16`):
            States a forward or backward pass: bounds the memory, and changes results by rounding alone.
    """

    num_generations: int = field(
        default=8,
        metadata={"help": "Rollouts a window. They stay on one process and form each other's baseline."},
    )
    baseline: str = field(
        default="rloo",
        metadata={
            "help": "What is subtracted from the return-to-go: `rloo` (at each step the mean return-to-go of the "
            "window's other rollouts) or `none`.",
            "choices": list(BASELINES),
        },
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
        default=0.0, metadata={"help": "Weight of KL(policy || untouched model), exact over the legal actions."}
    )
    scale_advantages: bool = field(
        default=True,
        metadata={
            "help": "Divide advantages by their standard deviation over the micro-batch, so that the entropy and KL "
            "weights mean the same whatever the size of the rewards."
        },
    )
    forward_batch_size: int = field(
        default=16,
        metadata={
            "help": "States a forward or backward pass: bounds the memory, and changes results by rounding alone."
        },
    )

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
    logging_steps: float = field(default=1, metadata={"help": "Log every so many updates."})

    def __post_init__(self) -> None:
        if self.bf16 is None:
            # The parent would choose bf16 on a CPU too, where most processors run it at a third of fp32's speed.
            on_gpu = not self.use_cpu and torch.cuda.is_available()
            self.bf16 = not self.fp16 and on_gpu and torch.cuda.is_bf16_supported(including_emulation=False)
        super().__post_init__()
        if self.baseline not in BASELINES:
            raise ValueError(f"baseline is {self.baseline!r}; choose {' or '.join(BASELINES)}")
        if self.num_generations < 1 or (self.baseline == "rloo" and self.num_generations < 2):
            raise ValueError(
                f"num_generations is {self.num_generations}; rloo needs at least 2 rollouts a window, none at least 1"
            )
        if not 0.0 < self.gamma <= 1.0:
            raise ValueError(f"gamma is {self.gamma}; it must lie in (0, 1]")
        if self.remove_unused_columns:
            raise ValueError(
                "remove_unused_columns must be False: the dataset's columns name windows, not model inputs"
            )
        if self.push_to_hub:
            raise ValueError(
                "push_to_hub is not supported yet: transformers would upload a pickle of the arguments with every "
                "checkpoint. Upload the output folder's .json and .safetensors files by hand"
            )
        if self.forward_batch_size < 1:
            raise ValueError(f"forward_batch_size is {self.forward_batch_size}; it must be at least 1")
