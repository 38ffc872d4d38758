"""A causal language model as a policy network over a handful of action tokens."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from flag_trl.policy.actions import ActionTokens
from flag_trl.policy.engine import AUTOCAST, Batch, Engine, Outputs
from flag_trl.policy.heads import ValueHead, token_logits
from flag_trl.policy.layers import TreePass
from flag_trl.policy.loading import load_base
from flag_trl.policy.saved import SavedPolicy, check_base, digest_of_frozen, load_weights, write_weights
from flag_trl.policy.soft import NumberEncoder, SoftInput
from flag_trl.policy.tree import PromptTree, Segments, TreeBatch
from flag_trl.policy.trunk_cache import TrunkCache, trunk_fingerprint
from flag_trl.policy.tuning import Tuning, apply_tuning, base, decoder
from flag_trl.policy.untouched import Untouched
from flag_trl.policy.vision import VisionInput, features, pixels

TRADING_WORDS = {"sell": "sell", "hold": "hold", "buy": "buy"}


class LLMPolicy(nn.Module):
    """pi(a | s): one forward pass over the prompt, a softmax over the legal actions' tokens, nothing generated.

    Parameters
    ----------
    model : PreTrainedModel
        A causal language model of a supported family; its weights are frozen or unfrozen in place.
    tokenizer : PreTrainedTokenizerBase
        The model's tokenizer.
    words : mapping of str to str, default ``sell``, ``hold``, ``buy``
        Action name to the word that the model says for it, in action-id order.
    tuning : Tuning
        What is trained.
    base_model : str, optional
        Hub id or folder that the untrained weights come from; needed by `save_pretrained`.
    revision : str, optional
        Its branch, tag or commit on the Hub.
    value_head : bool
        Whether to add a linear head that predicts the return-to-go from the last hidden state, brought to length one.
        It starts at zero, trains and is saved with the rest.
    soft : SoftInput, optional
        Whether prompts hold `SoftTokens`, and of which sizes. What they add is computed from their numbers by a small
        `NumberEncoder` at the trunk's upper boundary; it starts at zero, trains and is saved with the rest.

    Attributes
    ----------
    engine : Engine
        How forward passes are arranged.
    cache : TrunkCache or None
        States of the frozen trunk; set by `use_cache`.
    vision : VisionInput or None
        How prompts hold images; None for a model that sees nothing.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        words: Mapping[str, str] = TRADING_WORDS,
        tuning: Tuning = Tuning(),
        base_model: str | None = None,
        revision: str | None = None,
        value_head: bool = False,
        soft: SoftInput | None = None,
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.actions = ActionTokens.from_tokenizer(tokenizer, words)
        self.tuning = tuning
        self.base_model = base_model or model.config.name_or_path
        self.revision = revision
        attention = model.config._attn_implementation
        if attention not in ("sdpa", "eager"):
            raise ValueError(f"attention {attention!r} takes no mask of a tree; load the model with sdpa or eager")
        self.vision = VisionInput.of(model, tokenizer)
        self.model: Any = apply_tuning(model, tuning)
        self.engine = Engine()
        self.cache: TrunkCache | None = None
        self.value_head = ValueHead(self.hidden_size).to(self.device) if value_head else None
        self.number_encoder: NumberEncoder | None = None
        if soft is not None:
            self.number_encoder = NumberEncoder(soft, self.hidden_size).to(self.device)
        # It is handed keys and values to read, never to extend, so they may stay where layers are checkpointed.
        decoder(self.model).layers[-1]._can_checkpoint_with_cache = True
        self._untouched = Untouched(self)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        words: Mapping[str, str] | None = None,
        tuning: Tuning | None = None,
        dtype: torch.dtype = torch.float32,
        revision: str | None = None,
        value_head: bool = False,
        soft: SoftInput | None = None,
        trained: bool = True,
    ) -> "LLMPolicy":
        """Load a base model from a folder or the Hub, or a folder written by `save_pretrained`.

        Remote code is never run.

        Parameters
        ----------
        name_or_path : str or Path
        words, tuning, value_head, soft
            As in the constructor. A saved policy brings its own.
        dtype : torch.dtype
            Of all weights.
        revision : str, optional
            Branch, tag or commit on the Hub.
        trained : bool
            Whether a saved policy gets its trained weights; without them it is the base model under the same words.

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        ValueError
            If a saved policy has other words or another tuning than those given, or no value head where one is wanted.
        """
        folder = Path(name_or_path)
        saved = SavedPolicy.read(folder)
        if saved is not None:
            saved.check(folder, words, tuning, value_head, soft)
            base = saved.base_model, saved.words, saved.tuning, dtype, saved.revision
            policy = cls.from_pretrained(*base, value_head=saved.value_head, soft=saved.soft)
            check_base(saved, policy.base_digest, folder)
            if trained:
                policy.load_trained(folder)
            return policy
        tuning = tuning or Tuning()
        model, tokenizer = load_base(name_or_path, tuning, dtype, revision)
        named = words or TRADING_WORDS
        return cls(model, tokenizer, named, tuning, str(name_or_path), revision, value_head, soft)

    def save_pretrained(self, folder: str | Path, state_dict: Mapping[str, torch.Tensor] | None = None) -> None:
        """Write the trained weights alone (safetensors) and what is needed to put them back onto the base model.

        Parameters
        ----------
        folder : path
            Made if it is not there.
        state_dict : mapping, optional
            Gathered weights of this module, where a sharded run has them; by default its own.
        """
        if not self.base_model:
            raise ValueError("the policy does not know its base model; give LLMPolicy base_model=, a folder or Hub id")
        state = dict(self.state_dict()) if state_dict is None else state_dict
        words = dict(zip(self.actions.names, self.actions.words, strict=True))
        head, soft = self.value_head is not None, self.soft
        write_weights(self, Path(folder), state)
        described = SavedPolicy(self.base_model, self.revision, words, self.tuning, head, soft, self.base_digest)
        described.write(Path(folder))

    def load_trained(self, folder: str | Path) -> None:
        """Put the trained weights of a saved policy into this one.

        Raises
        ------
        ValueError
            If the file's tensors are not exactly the ones that this policy trains.
        """
        load_weights(self, Path(folder))

    @cached_property
    def base_digest(self) -> str | None:
        """Names the weights that do not train; None where all do, or where they were loaded in fewer bits."""
        return digest_of_frozen(self) if self.tuning.trunk_bits == 16 else None

    @property
    def trainable_names(self) -> list[str]:
        """Names of the trained parameters."""
        return [name for name, parameter in self.named_parameters() if parameter.requires_grad]

    @property
    def soft(self) -> SoftInput | None:
        """Sizes of the soft tokens; None where prompts have none."""
        return None if self.number_encoder is None else self.number_encoder.size

    @property
    def config(self) -> Any:
        """The base model's configuration; `transformers.Trainer` looks for it here."""
        return self.model.config

    @property
    def hidden_size(self) -> int:
        """Of the language model."""
        return int(self.config.get_text_config().hidden_size)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def activation_checkpointing_enable(
        self, activation_checkpointing_kwargs: dict[str, Any] | None = None, **options: Any
    ) -> None:
        """Recompute the trained layers in the backward pass; called by `transformers.Trainer`."""
        # The reentrant kind wants an input with a gradient; the first trained layer's comes from the frozen trunk.
        chosen = {"use_reentrant": False, **(activation_checkpointing_kwargs or {})}
        self.model.activation_checkpointing_enable(chosen, **options)

    def use_cache(
        self,
        memory_bytes: int = 2 * 10**9,
        folder: str | Path | None = None,
        disk_bytes: int = 10 * 10**9,
        dtype: torch.dtype = torch.float32,
        writers: int = 1,
    ) -> None:
        """Keep the frozen trunk's states from now on; see `TrunkCache`. Does nothing where the trunk trains.

        Parameters
        ----------
        memory_bytes, disk_bytes : int
            Budgets in memory and for this trunk's files.
        folder : path, optional
            Of the files; each trunk has a subfolder named after its fingerprint. Without it nothing is written.
        dtype : torch.dtype
            Precision of what is kept.
        writers : int
            Processes that write to the folder side by side.
        """
        if not self.trunk_depth:
            return
        where = f"{self.engine.precision} {self.device.type}"
        fingerprint = trunk_fingerprint(self.unwrapped, decoder(self.model), self.trunk_depth, where, dtype)
        own = None if folder is None else Path(folder) / fingerprint
        self.cache = TrunkCache(fingerprint, memory_bytes, own, disk_bytes, dtype, writers)

    def forward(self, batch: Mapping[str, torch.Tensor]) -> "Outputs":
        """Log-probabilities of the actions after each prompt of a batch.

        Parameters
        ----------
        batch : mapping of str to torch.Tensor
            One of `batches`.

        Returns
        -------
        Outputs
            Of the batch's U prompts.
        """
        with self._precision():
            layers = TreePass(decoder(self.model), batch)
            hidden = batch.get("hidden")
            if hidden is None:
                with nullcontext() if self.tuning.method == "full" else torch.no_grad():
                    hidden = layers.trunk(self.trunk_depth, self._features(batch))
            if self.number_encoder is not None and "soft_numbers" in batch:
                hidden = self.number_encoder(hidden, batch["soft_numbers"], batch["soft_places"])
            states = layers.top(self.trunk_depth, hidden)[batch["answers"]]
        nodes = self.actions.nodes
        logits = [token_logits(self.model, states[:, k], node.children) for k, node in enumerate(nodes)]
        log_probs = self.actions.log_probs(logits, batch["legal"])
        values = None if self.value_head is None else self.value_head(states[:, 0])
        return Outputs(log_probs, values, states[:, 0])

    def batches(
        self, prompts: Sequence[Segments], legal: torch.Tensor, fill: bool = True
    ) -> Iterator[tuple[np.ndarray, Batch]]:
        """What `forward` takes, for any number of prompts.

        Parameters
        ----------
        prompts : sequence of segment sequences, length U
            Each prompt in pieces; those that begin alike share the computation where the engine says so.
        legal : torch.Tensor of bool, shape (U, A)
        fill : bool
            Whether states that the cache lacks are computed into it; else the batch comes without them.

        Yields
        ------
        rows : ndarray of int64
            Which prompts the batch holds.
        batch : dict of str to torch.Tensor
            On the CPU; with the trunk's states where all of them are cached.
        """
        tree = PromptTree(prompts, self._prefixes, self.engine.share)
        for batch in tree.batches(self.engine.batch_tokens):
            hidden = self._cached(batch)
            if hidden is None and fill:
                self.precompute([prompts[row] for row in batch.prompts])
                hidden = self._cached(batch)
            states = self._pixels(batch) if hidden is None else {"hidden": hidden}
            yield batch.prompts, {**batch.tensors, **states, "legal": legal[torch.from_numpy(batch.prompts)]}

    def passes(self, prompts: Sequence[Segments]) -> list[int]:
        """Tokens of each of the `batches` that the prompts make, padding left out."""
        tree = PromptTree(prompts, self._prefixes, self.engine.share)
        return [sum(row.length for row in rows) for rows in tree.packed(self.engine.batch_tokens)]

    @torch.no_grad()
    def evaluate(
        self,
        prompts: Sequence[Segments],
        legal: torch.Tensor,
        reference: bool = False,
        on_progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> "Outputs":
        """`forward` without gradient over any number of prompts.

        Parameters
        ----------
        prompts, legal
            As in `batches`.
        reference : bool
            Evaluate the untouched model instead of the trained one.
        on_progress : callable
            Called with the prompts done and the prompts to do, after each batch.

        Returns
        -------
        Outputs
            Of all prompts, float32 on the CPU.
        """
        was_training = self.training
        self.eval()
        log_probs, values, done = torch.empty(legal.shape), torch.zeros(len(legal)), 0
        hidden = torch.empty(len(legal), self.hidden_size)
        with self._reference() if reference else nullcontext():
            for rows, batch in self.batches(prompts, legal):
                found = self({key: tensor.to(self.device) for key, tensor in batch.items()})
                log_probs[rows], hidden[rows] = found.log_probs.float().cpu(), found.hidden.float().cpu()
                if found.values is not None:
                    values[rows] = found.values.cpu()
                done += len(rows)
                on_progress(done, len(prompts))
        self.train(was_training)
        return Outputs(log_probs, None if self.value_head is None else values, hidden)

    @torch.no_grad()
    def precompute(
        self, prompts: Sequence[Segments], on_progress: Callable[[int, int], None] = lambda done, total: None
    ) -> None:
        """Put the trunk's states of all prompts into the cache, where there is one with room.

        Parameters
        ----------
        prompts : sequence of segment sequences
        on_progress : callable
            Called with the tokens done and the tokens to do, after each batch.
        """
        cache = self.cache
        if cache is None or cache.full:
            return
        missing = cache.lacking(prompts, self._prefixes)
        if missing is None:
            return
        was_training = self.training
        self.eval()
        batches = list(missing.batches(self.engine.batch_tokens))
        total, done = sum(batch.tensors["input_ids"].numel() for batch in batches), 0
        for batch in batches:
            began = time.perf_counter()
            with self._precision():
                given = {**batch.tensors, **self._pixels(batch)}
                tensors = {key: tensor.to(self.device) for key, tensor in given.items()}
                found = self._features(tensors)
                hidden = TreePass(decoder(self.model), tensors).trunk(self.trunk_depth, found).float()
            states = {segment.key: part for segment, part in batch.parts(hidden.cpu())}
            cache.put(states, time.perf_counter() - began)
            done += batch.tensors["input_ids"].numel()
            on_progress(done, total)
        self.train(was_training)

    def _cached(self, batch: TreeBatch) -> torch.Tensor | None:
        """The trunk's states of a batch in the precision of the layers that read them; None where any is not kept."""
        if self.cache is None:
            return None
        return self.cache.gather(batch, self.hidden_size, self.model.get_input_embeddings().weight.dtype)

    def _pixels(self, batch: TreeBatch) -> Batch:
        """The images of a batch, read."""
        if self.vision is None or not batch.images:
            return {}
        return {"pixels": pixels(batch.images, self.vision.size)}

    def _features(self, batch: Mapping[str, torch.Tensor]) -> torch.Tensor | None:
        """What takes the place of a batch's image tokens."""
        return features(self.unwrapped, batch["pixels"]) if "pixels" in batch else None

    @property
    def unwrapped(self) -> Any:
        """The model as transformers has it, without what PEFT puts around it."""
        return base(self.model)

    @property
    def trunk_depth(self) -> int:
        """How many layers, from the bottom, do not train."""
        return self.tuning.trunk_depth(len(decoder(self.model).layers))

    @property
    def _prefixes(self) -> list[tuple[int, ...]]:
        return [node.prefix for node in self.actions.nodes]

    def _precision(self) -> Any:
        """The context in which layers run."""
        dtype = AUTOCAST[self.engine.precision]
        return nullcontext() if dtype is None else torch.autocast(self.device.type, dtype)

    def _reference(self) -> Any:
        """The context in which the policy is the model as it was before training."""
        return self._untouched.within(self, self.model if self.tuning.has_adapters else None)
