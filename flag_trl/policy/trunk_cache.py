"""Hidden states at the frozen trunk's upper boundary, computed once for each text."""

import json
import logging
import os
import tempfile
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from flag_trl.policy.soft import without_numbers
from flag_trl.policy.tree import PromptTree, Segments, TreeBatch

logger = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


class TrunkCache:
    """Keeps one tensor a segment, in memory up to a budget and, where there is a folder, on disk.

    Training comes round to the same days again and again. There the rule that drops what was used least recently
    drops everything just before it is used; so what is in memory stays, and what no longer fits is read from
    memory-mapped files.

    Files are safetensors named after the digest of their contents. One that was cut short or changed is noticed when
    it is first used, one that another model wrote when the cache is opened; both are reported, and their contents
    computed anew.

    Parameters
    ----------
    fingerprint : str
        Of everything that the states depend on besides the tokens: weights, depth, precision, library versions.
    memory_bytes : int
        Budget in memory.
    folder : Path, optional
        Where to keep files; made if it is not there. Without it nothing is written, and what exceeds the memory is
        not kept.
    disk_bytes : int
        Nothing is written once the folder's files take this much.
    dtype : torch.dtype
        Precision in which states are kept; half precision halves the space and costs three digits.
    writers : int
        Processes that write to the folder side by side; each may take as much of what is left there.

    Attributes
    ----------
    settings : tuple
        Everything that the cache was opened with; another setting needs another cache.
    hits : int
        Segments found.
    seconds : float
        What computing new states took since the cache was opened.
    """

    def __init__(
        self,
        fingerprint: str,
        memory_bytes: int = 2 * 10**9,
        folder: Path | None = None,
        disk_bytes: int = 10 * 10**9,
        dtype: torch.dtype = torch.float32,
        writers: int = 1,
    ) -> None:
        self.settings = (fingerprint, memory_bytes, folder, disk_bytes, dtype, writers)
        self.hits = 0
        self.seconds = 0.0
        self._tokens_served = 0
        self._fingerprint = fingerprint
        self._memory_bytes, self._disk_bytes, self._writers = memory_bytes, disk_bytes, writers
        self._dtype = dtype
        self._memory: dict[bytes, torch.Tensor] = {}
        self._folder = folder
        self._open: dict[Path, Any] = {}
        self._disk_full = False
        self.clear()
        self.reopen()

    def reopen(self) -> None:
        """List what the folder holds now, other processes' files included, and read from there what it holds."""
        # Of all that was ever computed, other runs' files included.
        self._seconds_ever, self._tokens_ever = 0.0, 0
        self._disk_left = self._disk_bytes
        self._file_of: dict[bytes, Path] = {}
        if self._folder is not None:
            self._folder.mkdir(parents=True, exist_ok=True)
            for file in sorted(self._folder.glob("*.safetensors")):
                self._list(file)
            self._disk_left //= self._writers
        # Two processes may have computed one segment; their last digits differ, and a later run reads the file's.
        for key in self._memory.keys() & self._file_of.keys():
            states = self._memory.pop(key)
            self._memory_left += states.numel() * states.element_size()
            self._memory_full = False

    def __contains__(self, key: bytes) -> bool:
        """Whether `get` will probably find it: a damaged file shows only when it is read."""
        return key in self._memory or key in self._file_of

    def get(self, key: bytes) -> torch.Tensor | None:
        """States of a segment, float32 of shape (tokens, hidden size); None where they are not kept."""
        states = self._memory.get(key)
        if states is None and key in self._file_of:
            states = self._read(key)
        if states is None:
            return None
        self.hits += 1
        self._tokens_served += len(states)
        return states.float()

    def put(self, states: Mapping[bytes, torch.Tensor], seconds: float = 0.0) -> None:
        """Keep what is new of `states`, each of shape (tokens, hidden size); they took `seconds` to compute."""
        self.seconds += seconds
        self._seconds_ever += seconds
        self._tokens_ever += sum(map(len, states.values()))
        new = {key: value.detach().to("cpu", self._dtype) for key, value in states.items() if key not in self}
        for key, value in new.items():
            self._remember(key, value)
        if new and self._folder is not None:
            self._write(new, seconds, self._folder)

    def gather(self, batch: TreeBatch, hidden_size: int, dtype: torch.dtype) -> torch.Tensor | None:
        """States of a whole batch, shape (B, L, hidden size), zero on padding; None where any is not kept."""
        if any(segment.key not in self for row in batch.segments for segment in row):
            return None
        hidden = torch.zeros(*batch.tensors["input_ids"].shape, hidden_size, dtype=dtype)
        for segment, place in batch.parts(hidden):
            states = self.get(segment.key)
            if states is None:
                return None
            place.copy_(states)
        return hidden

    def lacking(self, prompts: Sequence[Segments], prefixes: Sequence[tuple[int, ...]]) -> PromptTree | None:
        """The tree of those prompts, each with what may follow it, of which not all is kept; None where all is."""
        # Below the boundary soft tokens are what holds their place, and prompts that differ in numbers alone are one.
        prompts = list(dict.fromkeys(map(without_numbers, prompts)))
        tree = PromptTree(prompts, prefixes, "prefixes")
        absent = {segment for segment in tree.segments() if segment.key not in self}
        new = [i for i, ends in enumerate(tree.ends) if any(not absent.isdisjoint(end.path()) for end in ends)]
        return PromptTree([prompts[i] for i in new], prefixes, "prefixes") if new else None

    @property
    def seconds_saved(self) -> float:
        """What the states handed out would have taken to compute each time, less what they took once."""
        return self._seconds_ever / max(self._tokens_ever, 1) * self._tokens_served - self.seconds

    @property
    def full(self) -> bool:
        """Whether nothing more will be kept."""
        return self._memory_full and (self._folder is None or self._disk_full)

    def clear(self) -> None:
        """Forget what is in memory; files stay."""
        self._memory.clear()
        self._memory_left = self._memory_bytes
        self._memory_full = False

    def _remember(self, key: bytes, states: torch.Tensor) -> None:
        """Keep in memory what still fits. A copy: a slice would keep alive the whole that it is cut from."""
        size = states.numel() * states.element_size()
        if size > self._memory_left:
            self._memory_full = True
        elif key not in self._memory:
            self._memory[key] = states.clone()
            self._memory_left -= size

    def _write(self, states: Mapping[bytes, torch.Tensor], seconds: float, folder: Path) -> None:
        """Write one file under its digest; whole or not at all, since another process may be reading."""
        tensors = {key.hex(): value.contiguous() for key, value in states.items()}
        metadata = {"fingerprint": self._fingerprint, "seconds": f"{seconds:.3f}"}
        content = save(tensors, metadata=metadata)
        if self._disk_full:
            return
        if len(content) > self._disk_left:
            logger.warning("the trunk cache in %s is full; further states are computed anew each time", folder)
            self._disk_full = True
            return
        file = folder / f"{blake2b(content, digest_size=16).hexdigest()}.safetensors"
        try:
            with tempfile.NamedTemporaryFile(dir=folder, suffix=".partial", delete=False) as partial:
                partial.write(content)
            os.replace(partial.name, file)
        except OSError as error:
            logger.warning("the trunk cache cannot write to %s (%s); further states are kept in memory", folder, error)
            self._disk_full = True
            return
        self._disk_left -= len(content)
        self._file_of.update(dict.fromkeys(states, file))

    def _list(self, file: Path) -> None:
        """Note what a file holds, from its header alone."""
        try:
            with safe_open(file, framework="pt") as opened:
                metadata = opened.metadata() or {}
                names = list(opened.keys())
                keys = [bytes.fromhex(name) for name in names]
                tokens = sum(opened.get_slice(name).get_shape()[0] for name in names)
                seconds = float(metadata.get("seconds", 0.0))
        except (SafetensorError, ValueError) as error:
            self._discard(file, f"cannot be read ({error})")
            return
        except OSError as error:
            logger.warning("trunk cache: %s cannot be opened (%s); its states are computed anew", file, error)
            return
        if metadata.get("fingerprint") != self._fingerprint:
            if self._intact(file):
                logger.warning("%s was written by another model or version; its states are computed anew", file)
            else:
                self._discard(file, "is damaged")
            return
        self._disk_left -= file.stat().st_size
        self._seconds_ever += seconds
        self._tokens_ever += tokens
        self._file_of.update(dict.fromkeys(keys, file))

    def _read(self, key: bytes) -> torch.Tensor | None:
        """States from a file, which is checked against its name when it is first used."""
        file = self._file_of[key]
        if file not in self._open:
            if not self._intact(file):
                self._discard(file, "is damaged")
                return None
            self._open[file] = safe_open(file, framework="pt")
        states: torch.Tensor = self._open[file].get_tensor(key.hex())
        self._remember(key, states)
        return states

    def _intact(self, file: Path) -> bool:
        return file.is_file() and blake2b(file.read_bytes(), digest_size=16).hexdigest() == file.stem

    def _discard(self, file: Path, why: str) -> None:
        """Report a file, remove it, and forget what it held."""
        logger.warning("trunk cache: %s %s; it is removed and its states are computed anew", file, why)
        if file in self._file_of.values():
            self._disk_left += file.stat().st_size if file.is_file() else 0
        self._file_of = {key: other for key, other in self._file_of.items() if other != file}
        file.unlink(missing_ok=True)


def trunk_fingerprint(model: Any, decoder: Any, depth: int, precision: str, dtype: torch.dtype) -> str:
    """Digest of what the trunk's states depend on besides the tokens.

    Parameters
    ----------
    model : nn.Module
        The whole model: where it sees images, what reads them counts.
    decoder : nn.Module
        Embedding and layers.
    depth : int
        Layers of the trunk.
    precision : str
        In which it is computed, and where.
    dtype : torch.dtype
        In which states are kept.
    """
    import transformers

    config = {key: value for key, value in decoder.config.to_dict().items() if not key.startswith("_")}
    config.pop("transformers_version", None)
    libraries = [torch.__version__, transformers.__version__]
    said = json.dumps([config, depth, precision, str(dtype), libraries], sort_keys=True, default=str)
    digest = blake2b(said.encode(), digest_size=16)
    sight = [part for name in ("vision_model", "connector") if (part := getattr(model.model, name, None)) is not None]
    for module in (decoder.embed_tokens, *decoder.layers[:depth], *sight):
        for name, tensor in module.state_dict().items():
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().flatten().contiguous().view(torch.uint8).numpy())
    return digest.hexdigest()
