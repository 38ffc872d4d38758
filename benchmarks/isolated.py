"""A measurement in a process of its own, so that its peak memory is its own and its caches are gone with it."""

import multiprocessing
import os
import traceback
from collections.abc import Callable
from typing import Any, TypeVar

# Before the Hub's client is imported: nothing here needs the network.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

Result = TypeVar("Result")


def isolated(measure: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
    """Call `measure` in a fork of this process and give back what it returned.

    A fork has everything imported already. This process itself must not have run a parallel computation of torch's,
    whose threads a fork would lack.

    Raises
    ------
    RuntimeError
        With the fork's traceback, or its exit code if it was killed.
    """
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_call, args=(there, measure, args, kwargs))
    process.start()
    there.close()
    try:
        worked, result = here.recv()
    except EOFError:
        process.join()
        raise RuntimeError(
            f"{measure.__name__} ended with exit code {process.exitcode}, perhaps out of memory"
        ) from None
    process.join()
    if not worked:
        raise RuntimeError(f"{measure.__name__} failed:\n{result}")
    return result  # type: ignore[no-any-return]


def _call(pipe: Any, measure: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    # What is measured logs every step; the figures are what counts.
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    try:
        pipe.send((True, measure(*args, **kwargs)))
    except BaseException:  # The traceback is all that reaches the parent, whatever it was.
        pipe.send((False, traceback.format_exc()))


def matmul_gflops(seconds: float = 1.5) -> float:
    """Billions of floating-point operations a second in matrix products of the model's own shape (its MLP's), fp32."""
    import time

    import torch

    a, b = torch.randn(2048, 576), torch.randn(576, 1536)
    rates = []
    for _ in range(5):
        began, rounds = time.perf_counter(), 0
        while time.perf_counter() - began < seconds / 5:
            a @ b
            rounds += 1
        rates.append(rounds * 2 * 2048 * 576 * 1536 / (time.perf_counter() - began) / 1e9)
    return float(max(rates))
