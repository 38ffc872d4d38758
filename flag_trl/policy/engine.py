"""How forward passes are arranged, what goes into them and what comes out."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import torch

from flag_trl.policy.tree import SHARES, Share

Precision = Literal["fp32", "bf16", "fp16"]
AUTOCAST = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
Batch = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Engine:
    """How forward passes are arranged. It changes results by rounding alone.

    Attributes
    ----------
    share : {"prefixes", "states", "none"}
        What is computed once: the common beginnings of prompts and equal prompts, equal prompts, or nothing.
    batch_tokens : int
        Tokens a forward or backward pass, padding included: bounds the memory.
    precision : {"fp32", "bf16", "fp16"}
        Of the layers; below fp32 by autocast.
    """

    share: Share = "prefixes"
    batch_tokens: int = 4096
    precision: Precision = "fp32"

    def __post_init__(self) -> None:
        if self.share not in SHARES:
            raise ValueError(f"share is {self.share!r}; choose one of {', '.join(SHARES)}")
        if self.batch_tokens < 1:
            raise ValueError(f"batch_tokens is {self.batch_tokens}; it must be at least 1")
        if self.precision not in get_args(Precision):
            raise ValueError(f"precision is {self.precision!r}; choose one of {', '.join(get_args(Precision))}")


class Outputs(NamedTuple):
    """What the policy says of U prompts.

    Attributes
    ----------
    log_probs : torch.Tensor of float32, shape (U, A)
        Of the actions; minus infinity for illegal ones.
    values : torch.Tensor of float32, shape (U,), or None
        What the value head expects of the return that follows; None where there is no such head.
    hidden : torch.Tensor, shape (U, hidden size)
        The last layer's normalised state where the answer begins, from which both are computed.
    """

    log_probs: torch.Tensor
    values: torch.Tensor | None
    hidden: torch.Tensor
