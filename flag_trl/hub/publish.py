"""Put a trained agent onto the Hub: safetensors and JSON alone, with a card written for a trader."""

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from flag_trl.agent import AGENT_FILE, AGENT_FILES, LEDGER, PICKLES, count_trials, file_digest
from flag_trl.hub.card import model_card

TRAINING_FILE, EVALUATION_FILE = "training.json", "evaluation.json"
FILES = (*AGENT_FILES, TRAINING_FILE, LEDGER)
"""What is published of a training run's folder; its checkpoints and pickles of arguments stay where they are."""
DESCRIBED = {"policy.json": "base_model", "adapter_config.json": "base_model_name_or_path"}
"""Files that name the base model, and under which key."""


def publish(
    folder: str | Path,
    repository: str,
    *,
    base_model: str | None = None,
    evaluation: str | Path | None = None,
    licence: str | None = None,
    cutoff: str | None = None,
    private: bool | None = None,
    token: str | None = None,
    message: str = "Publish a trained agent",
    revision: str | None = None,
) -> str:
    """Upload the agent in a folder; see `pack` for what goes up.

    Parameters
    ----------
    folder : path
        Of a training run.
    repository : str
        ``user/name``; made if it is not there.
    base_model, evaluation, licence, cutoff
        See `pack`.
    private : bool, optional
        Whether a new repository is private; by default as the Hub has it.
    token : str, optional
        By default the one that ``hf auth login`` stored.
    message : str
        Of the commit.
    revision : str, optional
        Branch that it goes to; it has to be there.

    Returns
    -------
    str
        The commit's address.
    """
    api = HfApi(token=token)
    with tempfile.TemporaryDirectory() as place:
        packed = pack(
            folder,
            Path(place) / "packed",
            repository,
            base_model=base_model,
            evaluation=evaluation,
            licence=licence,
            cutoff=cutoff,
        )
        api.create_repo(repository, private=private, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository,
            folder_path=packed,
            commit_message=message,
            revision=revision,
            # What an earlier agent left there is not this one's.
            delete_patterns=[*FILES, EVALUATION_FILE, *(f"*{suffix}" for suffix in PICKLES)],
        )
    return str(done.commit_url)


def pack(
    folder: str | Path,
    target: str | Path,
    repository: str,
    *,
    base_model: str | None = None,
    evaluation: str | Path | None = None,
    licence: str | None = None,
    cutoff: str | None = None,
) -> Path:
    """Gather what another person needs to run the agent in a folder, and write its card.

    Parameters
    ----------
    folder : path
        Of a training run.
    target : path
        Where it is gathered; made.
    repository : str
        ``user/name``, as the card says it.
    base_model : str, optional
        Where others find the base model; needed where the run had it in a folder. Loading compares its weights.
    evaluation : path, optional
        Output folder of an evaluation of this agent; its figures go up and stand on the card.
    licence : str, optional
        The Hub's identifier, such as ``apache-2.0``.
    cutoff : str, optional
        Last day that the base model's training text may tell of.

    Raises
    ------
    FileNotFoundError
        If there is no agent in the folder, or no results in that of the evaluation.
    ValueError
        If others could not find the base model, or the evaluation is of another agent.
    """
    folder, target = Path(folder), Path(target)
    if not (folder / AGENT_FILE).is_file():
        raise FileNotFoundError(f"{folder} holds no trained agent: there is no {AGENT_FILE} in it")
    target.mkdir(parents=True)
    for name in FILES:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
    _name_base(target, base_model)
    found = None if evaluation is None else _evaluation(Path(evaluation), folder)
    if found is not None:
        (target / EVALUATION_FILE).write_text(json.dumps(found, indent=1) + "\n")
    said = {name: _read(target / name) for name in (AGENT_FILE, "policy.json", TRAINING_FILE)}
    card = model_card(
        repository,
        agent=said[AGENT_FILE],
        policy=said["policy.json"],
        training=said[TRAINING_FILE],
        evaluation=found,
        trials=count_trials(target),
        licence=licence,
        cutoff=cutoff,
    )
    (target / "README.md").write_text(card)
    return target


def check_base_model(name: str) -> None:
    """Raise ValueError where `name` is a folder, which others do not have."""
    if Path(name).is_dir() or name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise ValueError(
            f"the base model is the folder {name}, which others do not have; put it onto the Hub (hf upload "
            f"USER/NAME {name}), and publish with --base_model USER/NAME or train with --model_name_or_path USER/NAME"
        )


def _name_base(target: Path, base_model: str | None) -> None:
    """Write into the descriptions where others find the base model."""
    if base_model is None:
        return check_base_model(str(_read(target / "policy.json")["base_model"]))
    check_base_model(base_model)
    for name, key in DESCRIBED.items():
        if (target / name).is_file():
            # A revision is one of the repository that was named before.
            renamed = {**_read(target / name), key: base_model, "revision": None}
            (target / name).write_text(json.dumps(renamed, indent=2) + "\n")


def _evaluation(results: Path, folder: Path) -> dict[str, Any]:
    """What an evaluation found, if it is this agent's."""
    file = results / "results.json"
    if not file.is_file():
        raise FileNotFoundError(f"{results} holds no evaluation: there is no results.json in it")
    found: dict[str, Any] = json.loads(file.read_text())
    identity = found.get("identity", {})
    others = [
        name for name in AGENT_FILES if (folder / name).is_file() and identity.get(name) != file_digest(folder / name)
    ]
    if "tasks" not in found or others:
        raise ValueError(
            f"{file} is no evaluation of the agent in {folder} as it is now; make one with python -m eval.run "
            f"--policy {folder}"
        )
    return found


def _read(file: Path) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(file.read_text()) if file.is_file() else {}
    return found
