"""Weights that ZeRO-3 keeps in shards: whole while something else than a training pass reads or writes them."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn
from trl.models.utils import add_hooks, remove_hooks


def sharded(model: nn.Module) -> bool:
    """Whether ZeRO-3 keeps the weights in shards; so it does from the beginning of a training on."""
    return any(hasattr(parameter, "ds_id") for parameter in model.parameters())


@contextmanager
def whole_weights(model: nn.Module, write: bool = False) -> Iterator[None]:
    """Within this context every process holds all weights, and runs the model as often as it likes.

    All processes enter and leave it together. Without ZeRO-3 it does nothing.

    Parameters
    ----------
    model : nn.Module
        As DeepSpeed wrapped it.
    write : bool
        Whether the weights are changed within, by the main process at least, whose values are those that are kept.
    """
    if not sharded(model):
        yield
        return
    import deepspeed

    with deepspeed.zero.GatheredParameters(list(model.parameters()), modifier_rank=0 if write else None):
        # They would put each layer back into its shards as soon as it has run.
        remove_hooks(model)
        try:
            yield
        finally:
            add_hooks(model)
