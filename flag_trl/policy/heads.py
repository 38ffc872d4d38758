"""What is read off the last hidden states: logits of a few tokens, and the value."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn


class ValueHead(nn.Linear):
    """A linear map of hidden states, brought to length one, to the return that follows; it starts at zero."""

    def __init__(self, hidden_size: int) -> None:
        super().__init__(hidden_size, 1)
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Values of shape (U,), in single precision, of states of shape (U, hidden size)."""
        with torch.autocast(states.device.type, enabled=False):
            directions = nn.functional.normalize(states.float())
            return nn.functional.linear(directions, self.weight.float(), self.bias.float())[:, 0]


def token_logits(model: Any, hidden: torch.Tensor, tokens: Sequence[int]) -> torch.Tensor:
    """Logits of a few tokens, shape (U, tokens): those rows of the output embedding alone.

    Parameters
    ----------
    model : PreTrainedModel
    hidden : torch.Tensor, shape (U, hidden size)
        What the model's output head sees.
    tokens : sequence of int
    """
    head = model.get_output_embeddings()
    # In single precision under mixed precision too: half-precision logits around 20 come in steps of an eighth.
    with torch.autocast(hidden.device.type, enabled=False):
        logits = hidden.float() @ head.weight[list(tokens)].float().T
    softcap = getattr(model.config.get_text_config(), "final_logit_softcapping", None)
    return softcap * torch.tanh(logits / softcap) if softcap else logits
