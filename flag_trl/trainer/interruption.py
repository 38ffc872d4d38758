"""SIGINT and SIGTERM end a training at the next update, with a checkpoint to go on from."""

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interruption(TrainerCallback):
    """Notes a signal, and stops all processes after the update during which the first of them was told.

    Attributes
    ----------
    number : int
        Of the signal; 0 as long as there was none.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self.number = 0

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Within this context the signals are noted; a second one ends the process at once.

        Outside the main thread, where Python takes no handlers, they do what they did before.
        """
        self.number = 0
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._note) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Save and stop where any process was told to."""
        told = torch.tensor([self.number], device=self._accelerator.device)
        self.number = int(self._accelerator.gather(told).max())
        if self.number:
            control.should_save = control.should_training_stop = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number:
            raise KeyboardInterrupt
        self.number = number
        name = signal.Signals(number).name
        print(f"{name}: a checkpoint is saved after this update; once more ends it at once", file=sys.stderr)
