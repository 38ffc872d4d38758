"""Trains one recipe in several ways in one launch, and writes what really ran; `test_launch` compares.

One launch imports, and meets its other processes, once: that takes longer than all of its trainings.
"""

import json
import sys
from pathlib import Path

from accelerate.state import AcceleratorState

from flag_trl.policy.saved import digest_of_frozen
from flag_trl.scripts.recipe import read_recipe
from flag_trl.scripts.train import build_trainer
from flag_trl.trainer.launch import zero_stage
from flag_trl.trainer.sharding import sharded, whole_weights


def train(name: str, options: list[str], checkpoint: str | None, last: bool) -> None:
    """One training; its facts go into ``name.json`` beside the recipe."""
    trainer = build_trainer(read_recipe(["--config", "recipe.yaml", "--output_dir", name, *options]))
    policy = trainer.agent.policy
    frozen = digest_of_frozen(policy)
    trainer.train(resume_from_checkpoint=checkpoint)
    held = sum(parameter.numel() for parameter in policy.parameters())
    with whole_weights(trainer.model_wrapped):
        unmoved = digest_of_frozen(policy) == frozen
    trainer.save_model()
    facts = {
        "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "distributed_type": trainer.accelerator.distributed_type.value,
        "zero_stage": zero_stage(trainer.accelerator),
        "processes": trainer.accelerator.num_processes,
        "weights_held_between_steps": held,
        "in_shards": sharded(trainer.model_wrapped),
        "frozen_unmoved": unmoved,
    }
    if trainer.is_world_process_zero():
        Path(f"{name}.json").write_text(json.dumps(facts))
    # The next training is another launch to accelerate, but for the processes.
    trainer.accelerator.free_memory()
    if last:
        trainer.end()
    AcceleratorState._reset_state()


if __name__ == "__main__":
    cases = json.loads(sys.argv[1])
    for number, (case, (more, resume)) in enumerate(cases.items(), 1):
        train(case, more, resume, last=number == len(cases))
