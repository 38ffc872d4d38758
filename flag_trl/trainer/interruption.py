"""SIGINT and SIGTERM end a training at the next update, with a checkpoint to go on from."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import torch
from accelerate import Accelerator
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

SIGNALS = (signal.SIGINT, signal.SIGTERM)
PATIENCE_S = 1.0
"""A signal that follows another sooner is the same wish."""


class Interruption(TrainerCallback):
    """Notes a signal, and stops all processes after the update during which the first of them was told.

    A signal that comes when no update is left changes nothing.

    Attributes
    ----------
    number : int
        Of the signal by which all processes agreed to stop; 0 if they did not.
    """

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self.number = 0
        self._noted, self._noted_at = 0, 0.0

    @contextmanager
    def heeded(self) -> Iterator[None]:
        """Within this context the signals are noted; a second one ends the process at once.

        Outside the main thread, where Python takes no handlers, they do what they did before.
        """
        self.number = self._noted = 0
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
        told = torch.tensor([self._noted], device=self._accelerator.device)
        noted = int(self._accelerator.gather(told).max())
        if noted and state.global_step < state.max_steps:
            self.number = noted
            control.should_save = control.should_training_stop = True

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self._noted:
            # A launcher hands on in its own way what the terminal sent to all processes.
            if number == self._noted and time.monotonic() - self._noted_at > PATIENCE_S:
                raise KeyboardInterrupt
            return
        self._noted, self._noted_at = number, time.monotonic()
        name = signal.Signals(number).name
        # print may not be called while the same stream is being written to.
        os.write(2, f"{name}: a checkpoint is saved after this update; once more ends it at once\n".encode())
