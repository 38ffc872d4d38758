"""Where a trained agent lies: a folder, or a repository of the Hub."""

from hashlib import blake2b
from pathlib import Path

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HTTPError,
    LocalEntryNotFoundError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)

from flag_trl.policy import POLICY_FILES

AGENT_FILE = "agent.json"
AGENT_FILES = (AGENT_FILE, *POLICY_FILES)
"""All that a saved agent may consist of."""
PUBLISHED = ("*.json", "*.jsonl", "*.safetensors", "*.md")
"""What is downloaded of a repository; nothing else is ever opened."""
HUB_ERRORS = (HTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled)
"""What may be wrong between here and the Hub."""
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".npy", ".npz", ".msgpack")


def agent_folder(name: str | Path, revision: str | None = None) -> Path:
    """Find a trained agent, and download it first where `name` is a repository of the Hub.

    Parameters
    ----------
    name : str or Path
        A folder, or ``user/repository``.
    revision : str, optional
        Branch, tag or commit on the Hub.

    Raises
    ------
    FileNotFoundError
        If there is no such folder or repository, or no agent in it.
    ValueError
        If the repository holds files that may be pickles: nothing of it is downloaded.
    """
    folder = Path(name)
    if (folder / AGENT_FILE).is_file():
        return folder
    if folder.is_dir() or not _may_be_repository(str(name)):
        raise FileNotFoundError(f"{name} holds no trained agent: there is no {AGENT_FILE} in it")
    found = _download(str(name), revision)
    if not (found / AGENT_FILE).is_file():
        raise FileNotFoundError(f"the repository {name} holds no trained agent: there is no {AGENT_FILE} in it")
    return found


def file_digest(path: Path, size: int = 8) -> str:
    """A name for a file's content, of `size` bytes: what an evaluation and a published agent know each other by."""
    found = blake2b(digest_size=size)
    with path.open("rb") as content:
        while block := content.read(1 << 20):
            found.update(block)
    return found.hexdigest()


def _may_be_repository(name: str) -> bool:
    """``user/repository``: two words, the first of which is no folder here."""
    local = name.startswith((".", "/", "~", "outputs/", "models/")) or Path(name).parent.is_dir()
    return name.count("/") == 1 and not local


def _download(name: str, revision: str | None) -> Path:
    try:
        files = HfApi().list_repo_files(name, revision=revision)
    except GatedRepoError as error:
        raise FileNotFoundError(f"{name} is gated: accept its terms on the Hub, and log in (hf auth login)") from error
    except RepositoryNotFoundError as error:
        raise FileNotFoundError(f"{name} is neither a folder here nor a repository of the Hub to be read") from error
    except HUB_ERRORS:
        # Without the Hub, what was downloaded before serves; it holds only what was allowed then.
        files = []
    pickles = sorted(file for file in files if file.endswith(PICKLES))
    if pickles:
        raise ValueError(
            f"{name} is not loaded: {pickles[0]} may be a pickle, which runs code when it is opened; ask for a "
            "repository of .json and .safetensors files alone"
        )
    try:
        return Path(snapshot_download(name, revision=revision, allow_patterns=list(PUBLISHED)))
    except (*HUB_ERRORS, LocalEntryNotFoundError) as error:
        raise FileNotFoundError(f"{name} is no folder here, and the Hub cannot be asked for it: {error}") from error
