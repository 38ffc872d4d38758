"""Operations and bytes of a computation, operator by operator, on real tensors or on such as have shapes alone."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten
# The CPU's attention is not among those that torch's own counter knows.
FORMULAS = {
    **flop_registry,
    aten._scaled_dot_product_flash_attention_for_cpu: flop_registry[aten._scaled_dot_product_flash_attention],
    aten._scaled_dot_product_flash_attention_for_cpu_backward: flop_registry[
        aten._scaled_dot_product_flash_attention_backward
    ],
}
# They read what they give back, and not the whole table.
LOOKUPS = {aten.index, aten.embedding, aten.index_select, aten.gather}


@dataclass(frozen=True)
class Chip:
    """What a processor can do at most.

    Attributes
    ----------
    flops : float
        Floating-point operations a second in matrix products.
    bandwidth : float
        Bytes a second between it and its memory.
    """

    flops: float
    bandwidth: float


class Operations(TorchDispatchMode):
    """Notes the operations and bytes of every operator that runs within.

    Bytes are those of an operator's tensors, each read or written once: what a processor moves whose cache holds
    nothing from one operator to the next. Views move nothing.
    """

    def __init__(self) -> None:
        super().__init__()
        self.noted: Counter[tuple[float, float]] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator and note it."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func.namespace == "prim":
            return out
        touched = (out, out) if func.overloadpacket in LOOKUPS else (args, kwargs, out)
        moved = 0 if func.is_view else sum(map(_bytes, tree_leaves(touched)))
        counter = FORMULAS.get(func.overloadpacket)
        self.noted[float(counter(*args, **kwargs, out_val=out)) if counter else 0.0, float(moved)] += 1
        return out

    @property
    def flops(self) -> float:
        """Of all operators."""
        return sum(flops * times for (flops, _), times in self.noted.items())

    @property
    def bytes(self) -> float:
        """Of all operators."""
        return sum(moved * times for (_, moved), times in self.noted.items())

    def seconds(self, chip: Chip) -> float:
        """The least that a processor takes: each operator as long as its operations or its bytes, the longer."""
        return sum(max(f / chip.flops, b / chip.bandwidth) * times for (f, b), times in self.noted.items())


def saved_bytes(run: Callable[[], torch.Tensor], model: torch.nn.Module) -> float:
    """What autograd keeps from a forward to its backward pass, weights left out."""
    weights = {parameter.untyped_storage()._cdata for parameter in model.parameters()}
    kept: dict[int, int] = {}
    held: list[torch.Tensor] = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            kept[storage._cdata] = storage.nbytes()
            held.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run()
    return float(sum(kept.values()))


def memory_bandwidth(seconds: float = 1.0) -> float:
    """Bytes a second that this machine moves: a copy of 256 MB, read and written."""
    import time

    source = torch.ones(64 * 2**20)
    target, best, began = torch.empty_like(source), 0.0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        start = time.perf_counter()
        target.copy_(source)
        best = max(best, 2 * source.nbytes / (time.perf_counter() - start))
    return best


def _bytes(value: Any) -> int:
    return value.numel() * value.element_size() if isinstance(value, torch.Tensor) else 0
