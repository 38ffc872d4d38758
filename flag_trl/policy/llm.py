"""A causal language model as a policy network over a handful of action tokens."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from flag_trl.policy.actions import ActionTokens
from flag_trl.policy.tuning import Tuning, apply_tuning, decoder

CONFIG_FILE = "policy.json"
WEIGHTS_FILE = "policy.safetensors"
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
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        words: Mapping[str, str] = TRADING_WORDS,
        tuning: Tuning = Tuning(),
        base_model: str | None = None,
        revision: str | None = None,
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self.actions = ActionTokens.from_tokenizer(tokenizer, words)
        self.tuning = tuning
        self.base_model = base_model or model.config.name_or_path
        self.revision = revision
        self.model: Any = apply_tuning(model, tuning)
        self._initial = {
            name: p.detach().clone() for name, p in self.named_parameters() if p.requires_grad and "lora_" not in name
        }

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path,
        words: Mapping[str, str] | None = None,
        tuning: Tuning | None = None,
        dtype: torch.dtype = torch.float32,
        revision: str | None = None,
    ) -> "LLMPolicy":
        """Load a base model from a folder or the Hub, or a folder written by `save_pretrained`.

        Remote code is never run.

        Parameters
        ----------
        name_or_path : str or Path
        words, tuning
            As in the constructor. A saved policy brings its own.
        dtype : torch.dtype
            Of all weights.
        revision : str, optional
            Branch, tag or commit on the Hub.

        Raises
        ------
        FileNotFoundError
            If there is no such folder.
        ValueError
            If a saved policy has other words or another tuning than those given.
        """
        folder = Path(name_or_path)
        if (folder / CONFIG_FILE).is_file():
            return cls._from_saved(folder, words, tuning, dtype)
        if not folder.is_dir() and str(name_or_path).startswith((".", "/", "models/", "outputs/")):
            raise FileNotFoundError(
                f"no model folder at {name_or_path}; `flag-trl convert-gguf --output {name_or_path}` makes the "
                "bundled SmolLM2-135M-Instruct, or give another folder or a Hub id"
            )
        tokenizer = AutoTokenizer.from_pretrained(name_or_path, revision=revision or "main")
        model = AutoModelForCausalLM.from_pretrained(name_or_path, dtype=dtype, revision=revision or "main")
        return cls(model, tokenizer, words or TRADING_WORDS, tuning or Tuning(), str(name_or_path), revision)

    @classmethod
    def _from_saved(
        cls, folder: Path, words: Mapping[str, str] | None, tuning: Tuning | None, dtype: torch.dtype
    ) -> "LLMPolicy":
        saved = json.loads((folder / CONFIG_FILE).read_text())
        own_words, own_tuning = saved["words"], Tuning(**saved["tuning"])
        if words not in (None, own_words) or tuning not in (None, own_tuning):
            raise ValueError(
                f"{folder} holds a policy with words {own_words} and {own_tuning}, but {words} and {tuning} were "
                "asked for; leave them out to load it as it is, or name its base model"
            )
        policy = cls.from_pretrained(saved["base_model"], own_words, own_tuning, dtype, saved["revision"])
        policy.load_trained(folder)
        return policy

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
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        state = dict(self.state_dict()) if state_dict is None else state_dict
        trained = {name: state[name].detach().cpu().contiguous() for name in self.trainable_names}
        save_file(trained, folder / WEIGHTS_FILE, metadata={"format": "pt"})
        words = dict(zip(self.actions.names, self.actions.words, strict=True))
        base = {"base_model": self.base_model, "revision": self.revision}
        config = {**base, "words": words, "tuning": asdict(self.tuning)}
        (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2) + "\n")

    def load_trained(self, folder: str | Path) -> None:
        """Put the trained weights of a saved policy into this one.

        Raises
        ------
        ValueError
            If the file's tensors are not exactly the ones that this policy trains.
        """
        file = Path(folder) / WEIGHTS_FILE
        state = load_file(file)
        expected = set(self.trainable_names)
        if set(state) != expected:
            odd = sorted(set(state) ^ expected)
            raise ValueError(f"{file} does not fit this policy: {len(odd)} tensors differ, the first is {odd[0]}")
        self.load_state_dict(state, strict=False)

    @property
    def trainable_names(self) -> list[str]:
        """Names of the trained parameters."""
        return [name for name, parameter in self.named_parameters() if parameter.requires_grad]

    @property
    def config(self) -> Any:
        """The base model's configuration; `transformers.Trainer` looks for it here."""
        return self.model.config

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: dict[str, Any] | None = None) -> None:
        """Recompute the trained layers in the backward pass; called by `transformers.Trainer`."""
        self.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs)

    def forward(self, input_ids: torch.Tensor, lengths: torch.Tensor, legal: torch.Tensor) -> torch.Tensor:
        """Log-probabilities of the actions.

        Parameters
        ----------
        input_ids : torch.Tensor of int64, shape (B, L)
            Prompts, padded on the right. Causal attention lets no token see the padding behind it, so no mask is
            needed.
        lengths : torch.Tensor of int64, shape (B,)
            Tokens in each prompt.
        legal : torch.Tensor of bool, shape (B, A)
            The actions that each account can execute.

        Returns
        -------
        torch.Tensor of float32, shape (B, A)
            Log-probabilities; minus infinity for illegal actions.
        """
        nodes = self.actions.nodes
        batch, device = len(input_ids), input_ids.device
        ids, ends = _append_prefixes(input_ids, lengths, [node.prefix for node in nodes])
        hidden = decoder(self.model)(input_ids=ids, use_cache=False).last_hidden_state
        last = hidden[torch.arange(len(ids), device=device), ends - 1].view(len(nodes), batch, -1)
        logits = [self._head_rows(state, node.children) for state, node in zip(last, nodes, strict=True)]
        return self.actions.log_probs(logits, legal)

    def _head_rows(self, hidden: torch.Tensor, tokens: Sequence[int]) -> torch.Tensor:
        """Logits of a few tokens: those rows of the output embedding alone."""
        head = self.model.get_output_embeddings()
        # In single precision under mixed precision too: half-precision logits around 20 come in steps of an eighth.
        with torch.autocast(hidden.device.type, enabled=False):
            logits = hidden.float() @ head.weight[list(tokens)].float().T
        softcap = getattr(self.config, "final_logit_softcapping", None)
        return softcap * torch.tanh(logits / softcap) if softcap else logits

    @torch.no_grad()
    def log_probs(
        self, prompts: Sequence[Sequence[int]], legal: torch.Tensor, batch_size: int = 16, reference: bool = False
    ) -> torch.Tensor:
        """`forward` without gradient over any number of prompts, in batches of like length.

        Parameters
        ----------
        prompts : sequence of token-id sequences, length U
        legal : torch.Tensor of bool, shape (U, A)
        batch_size : int
            Prompts a forward pass.
        reference : bool
            Evaluate the untouched model instead of the trained one.

        Returns
        -------
        torch.Tensor of float32, shape (U, A), on the CPU
        """
        was_training = self.training
        self.eval()
        out = torch.empty(legal.shape)
        with self._reference() if reference else nullcontext():
            for rows in length_batches(prompts, batch_size):
                ids, lengths = pad([prompts[i] for i in rows], self.device)
                out[rows] = self(ids, lengths, legal[rows].to(self.device)).float().cpu()
        self.train(was_training)
        return out

    @contextmanager
    def _reference(self) -> Iterator[None]:
        """Within this context the policy is the model as it was before training."""
        if self.tuning.method == "lora":
            with self.model.disable_adapter():
                yield
            return
        trained = {name: p.data for name, p in self.named_parameters() if p.requires_grad}
        try:
            for name, parameter in self.named_parameters():
                if name in self._initial:
                    parameter.data = self._initial[name].to(parameter.device)
            yield
        finally:
            for name, parameter in self.named_parameters():
                if name in trained:
                    parameter.data = trained[name]


def length_batches(prompts: Sequence[Sequence[int]], batch_size: int) -> Iterator[list[int]]:
    """Indices of the prompts in batches, the like-long together so that padding costs little."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def pad(prompts: Sequence[Sequence[int]], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompts as one right-padded tensor, shape (B, L), and their lengths, shape (B,)."""
    lengths = torch.tensor([len(prompt) for prompt in prompts], device=device)
    rows = [torch.tensor(prompt, dtype=torch.long) for prompt in prompts]
    return nn.utils.rnn.pad_sequence(rows, batch_first=True).to(device), lengths


def _append_prefixes(
    input_ids: torch.Tensor, lengths: torch.Tensor, prefixes: Sequence[tuple[int, ...]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """One copy of the batch a prefix, that prefix written behind each prompt; shapes (K B, L + longest), (K B,)."""
    longest = max(len(prefix) for prefix in prefixes)
    if len(prefixes) == 1 and longest == 0:
        return input_ids, lengths
    copies, ends = [], []
    for prefix in prefixes:
        ids = nn.functional.pad(input_ids, (0, longest))
        for offset, token in enumerate(prefix):
            ids[torch.arange(len(ids), device=ids.device), lengths + offset] = token
        copies.append(ids)
        ends.append(lengths + len(prefix))
    return torch.cat(copies), torch.cat(ends)
