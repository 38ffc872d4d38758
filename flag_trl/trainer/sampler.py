"""The order in which windows come round where a rollout is used several times."""

from collections.abc import Iterator

import torch
from torch.utils.data import Sampler


class ReusingSampler(Sampler[int]):
    """Shuffles windows each epoch and gives each group of them several times in a row.

    Parameters
    ----------
    windows : int
        How many there are.
    group : int
        Windows of one optimiser step, over all processes and accumulated batches.
    uses : int
        How often a group is given.
    seed : int
        Of the order, together with the epoch.

    Raises
    ------
    ValueError
        If there are fewer windows than a group takes. Those left over in an epoch after the last full group sit out.
    """

    def __init__(self, windows: int, group: int, uses: int, seed: int) -> None:
        if windows < group:
            raise ValueError(
                f"{windows} training windows are fewer than the {group} of one update; lower "
                "per_device_train_batch_size or gradient_accumulation_steps, or shorten episode_length"
            )
        self._windows, self._group, self._uses, self._seed = windows, group, uses, seed
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Called by accelerate before each epoch, after a resume too."""
        self._epoch = epoch

    def __len__(self) -> int:
        """Indices an epoch."""
        return self._windows // self._group * self._group * self._uses

    def __iter__(self) -> Iterator[int]:
        """Indices of one epoch."""
        generator = torch.Generator().manual_seed(self._seed * 1_000_003 + self._epoch)
        order = torch.randperm(self._windows, generator=generator).tolist()
        for start in range(0, self._windows - self._group + 1, self._group):
            for _ in range(self._uses):
                yield from order[start : start + self._group]
