"""What a training leaves behind: checkpoints that count once they are whole, and an agent on the Hub."""

import logging
import shutil
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import nn
from transformers.trainer_utils import HubStrategy, rotate_checkpoints
from trl.trainer.base_trainer import _BaseTrainer

from flag_trl.agent import HUB_ERRORS, Agent
from flag_trl.hub import check_base_model, publish
from flag_trl.trainer.checkpoints import flaw, last_whole, seal
from flag_trl.trainer.flag_config import FlagConfig
from flag_trl.trainer.launch import note_launch

logger = logging.getLogger(__name__)

SETTLING_S = 0.2
"""What the threads that carried tensors between processes are given to let go of them."""


class KeepingTrainer(_BaseTrainer):
    """TRL's base trainer with an agent instead of a model folder: how it is saved, resumed and published."""

    agent: Agent
    args: FlagConfig

    # Checkpoints hold the trained weights and what the agent is shown, not a pickle of the arguments nor the base
    # model, which DeepSpeed alone adds to its own state.
    def _save(self, output_dir: str | None = None, state_dict: dict[str, torch.Tensor] | None = None) -> None:
        if not self.args.should_save:
            return
        folder = output_dir or str(self.args.output_dir)
        self.agent.policy.save_pretrained(folder, state_dict)
        self.agent.save_config(folder)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """As the parent, but sealed when all is written; only then are older ones removed, and the agent published."""
        folder, limit = Path(self._get_output_dir(trial)), self.args.save_total_limit
        checkpoint = folder / f"checkpoint-{self.state.global_step}"
        if self.args.should_save:
            # What a process that was killed left under this name.
            shutil.rmtree(checkpoint, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        self.args.save_total_limit = None
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                note_launch(self.accelerator, checkpoint, self.args.windows_an_update)
                seal(checkpoint)
        except (OSError, RuntimeError, SafetensorError) as error:
            # torch.save tells of a full disk by a RuntimeError.
            raise OSError(self._advice(f"{checkpoint} could not be written: {error}")) from error
        finally:
            self.args.save_total_limit = limit
        if self.args.should_save:
            rotate_checkpoints(str(folder), limit, self.state.best_model_checkpoint, use_mtime=True)
        if self.args.push_to_hub and self.args.hub_strategy == HubStrategy.EVERY_SAVE:
            try:
                self._publish(str(checkpoint), f"Training in progress, step {self.state.global_step}")
            except HUB_ERRORS as error:
                logger.warning("step %d was not published, and training goes on: %s", self.state.global_step, error)

    def end(self) -> None:
        """As the parent, once nothing is under way any more.

        gloo's threads drop the tensors that they carried a moment after all have arrived, and need the interpreter for
        it. One that asks for it while the interpreter shuts down aborts its process, whose work was done.
        """
        if self.accelerator.num_processes > 1:
            self.accelerator.wait_for_everyone()
            time.sleep(SETTLING_S)
        super().end()

    def _whole(self, checkpoint: str | bool | None) -> str | None:
        """The checkpoint to go on from, looked at first."""
        if not checkpoint:
            return None
        output = Path(str(self.args.output_dir))
        if checkpoint is True:
            last, notes = last_whole(output)
            if last is None:
                raise ValueError(f"{output} holds no whole checkpoint to resume from. {' '.join(notes)}")
            return str(last)
        wrong = flaw(Path(checkpoint))
        if wrong:
            raise ValueError(f"{checkpoint} cannot be resumed from: {wrong}; name one before it")
        return checkpoint

    def _advice(self, what: str) -> str:
        """What went wrong, and where to go on."""
        last, _ = last_whole(Path(str(self.args.output_dir)))
        return f"{what}. The last good checkpoint is {last or 'none'}"

    # What goes onto the Hub is the agent with its card: the parent would upload the whole folder, pickles too.
    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Stop before the training where others could not find the base model."""
        check_base_model(str(self.agent.policy.base_model))
        super().init_hf_repo(token, private)

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Save the agent and publish it; see `flag_trl.hub.publish`. Returns the commit's address."""
        if self.hub_model_id is None:
            self.init_hf_repo(token, private)
        self.save_model(_internal_call=True)
        return self._publish(str(self.args.output_dir), str(commit_message), token, revision)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Nothing: a checkpoint is published once it is sealed."""

    def _publish(self, folder: str, message: str, token: str | None = None, revision: str | None = None) -> str | None:
        if not self.is_world_process_zero():
            return None
        chosen = revision or self.args.hub_revision
        return publish(
            folder, str(self.hub_model_id), token=token or self.args.hub_token, message=message, revision=chosen
        )
