"""Numbers that enter a prompt as numbers: soft tokens at the frozen trunk's upper boundary."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from flag_trl.policy.marked import MarkedTokens

HIDDEN = 64


@dataclass(frozen=True)
class SoftInput:
    """Sizes of what enters.

    Attributes
    ----------
    tokens : int
        Soft tokens a prompt.
    numbers : int
        Numbers that they are made of.
    """

    tokens: int
    numbers: int

    def __post_init__(self) -> None:
        if self.tokens < 1 or self.numbers < 1:
            raise ValueError(f"soft tokens: {self.tokens} made of {self.numbers} numbers; give at least 1 of each")


class SoftTokens(MarkedTokens):
    """A segment of a prompt whose tokens only hold the place; two are equal where their numbers are, too.

    Attributes
    ----------
    numbers : ndarray of float32, shape (K,)
    """

    numbers: np.ndarray

    def __new__(cls, place: tuple[int, ...], numbers: np.ndarray) -> "SoftTokens":
        made = super().__new__(cls, place)
        made.numbers = np.ascontiguousarray(numbers, dtype=np.float32)
        made.content = made.numbers.tobytes()
        return made


class NumberEncoder(nn.Module):
    """From K numbers to n additions to hidden states, in units of those states' own root mean square.

    Two layers with a GELU between. The last starts at zero: an untrained encoder leaves the model as it is.

    Parameters
    ----------
    size : SoftInput
    hidden_size : int
        Of the language model.
    """

    def __init__(self, size: SoftInput, hidden_size: int) -> None:
        super().__init__()
        self.size = size
        self.read = nn.Linear(size.numbers, HIDDEN)
        self.write = nn.Linear(HIDDEN, size.tokens * hidden_size)
        nn.init.zeros_(self.write.weight)
        nn.init.zeros_(self.write.bias)

    def forward(self, hidden: torch.Tensor, numbers: torch.Tensor, places: torch.Tensor) -> torch.Tensor:
        """Add to the states at the soft tokens' places.

        Parameters
        ----------
        hidden : torch.Tensor, shape (B, L, hidden size)
            What the trunk gives.
        numbers : torch.Tensor of float32, shape (S, K)
        places : torch.Tensor of int64, shape (S, n)
            Where in the flattened (B x L) the tokens of each stand.

        Returns
        -------
        torch.Tensor, shape (B, L, hidden size)
        """
        flat = hidden.flatten(0, 1)
        here = flat[places]
        scale = here.detach().float().square().mean(-1, keepdim=True).sqrt()
        with torch.autocast(hidden.device.type, enabled=False):
            # In single precision, whatever the weights are kept in.
            read = nn.functional.linear(numbers.float(), self.read.weight.float(), self.read.bias.float())
            added = nn.functional.linear(
                nn.functional.gelu(read), self.write.weight.float(), self.write.bias.float()
            ).view(*places.shape, -1)
        changed = (here.float() + scale * added).to(flat.dtype)
        return flat.index_copy(0, places.flatten(), changed.flatten(0, 1)).view_as(hidden)


def without_numbers(prompt: Sequence[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """A prompt's segments with what holds the place of soft tokens, and no numbers."""
    return tuple(tuple(segment) if isinstance(segment, SoftTokens) else segment for segment in prompt)
