"""The model as it was before training, put back for as long as it is asked."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import torch
from torch import nn


class Untouched:
    """Remembers the trained weights of a module as they are now; adapters need no memory, they are switched off.

    Parameters
    ----------
    module : nn.Module
        Its parameters named `lora_` belong to adapters.
    """

    def __init__(self, module: nn.Module) -> None:
        trained = ((name, p) for name, p in module.named_parameters() if p.requires_grad and "lora_" not in name)
        self._weights: dict[str, torch.Tensor] = {name: p.detach().clone() for name, p in trained}

    @contextmanager
    def within(self, module: nn.Module, adapted: Any) -> Iterator[None]:
        """Within this context the module has those weights, and `adapted` no adapters."""
        held = {name: p.data for name, p in module.named_parameters() if name in self._weights}
        try:
            for name, parameter in module.named_parameters():
                if name in held:
                    parameter.data = self._weights[name].to(parameter.device)
            with nullcontext() if adapted is None else adapted.disable_adapter():
                yield
        finally:
            for name, parameter in module.named_parameters():
                if name in held:
                    parameter.data = held[name]
