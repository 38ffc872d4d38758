"""Actions as tokens: which token sequences stand for which action, arranged as a prefix tree."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import torch
from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class BranchingNode:
    """A node of the prefix tree at which a choice is made.

    Attributes
    ----------
    prefix : tuple of int
        Tokens between the prompt and this node; empty at the root.
    children : tuple of int
        The tokens that may follow, in order of first appearance.
    members : tuple of tuple of bool
        ``members[c][a]`` tells whether action ``a`` lies below child ``c``; shape (children, actions).
    """

    prefix: tuple[int, ...]
    children: tuple[int, ...]
    members: tuple[tuple[bool, ...], ...]


@dataclass(frozen=True)
class ActionTokens:
    """The token sequence of each action.

    An action's probability is the product, along its path in the prefix tree, of a softmax over the tokens that still
    lead to a legal action. Nodes with one child have probability one and cost nothing, so a set of actions whose first
    tokens differ needs one forward pass whatever the number of tokens.

    Attributes
    ----------
    names : tuple of str
        Action names, in the order of the position scheme's action ids.
    words : tuple of str
        What the model says for each action (its verbaliser).
    token_ids : tuple of tuple of int
        The tokens of each word.
    """

    names: tuple[str, ...]
    words: tuple[str, ...]
    token_ids: tuple[tuple[int, ...], ...]

    def __post_init__(self) -> None:
        if len(self.names) < 2:
            raise ValueError(f"a policy needs at least two actions, got {list(self.names)}")
        for i, ids in enumerate(self.token_ids):
            if not ids:
                raise ValueError(
                    f"action {self.names[i]!r}: its word {self.words[i]!r} has no token; give it another word"
                )
            for j, other in enumerate(self.token_ids):
                if i != j and other[: len(ids)] == ids:
                    clash = "has the same tokens as" if other == ids else "is a prefix of"
                    raise ValueError(
                        f"action {self.names[i]!r} ({self.words[i]!r}, tokens {list(ids)}) {clash} action "
                        f"{self.names[j]!r} ({self.words[j]!r}, tokens {list(other)}); give one of them another word"
                    )

    @classmethod
    def from_tokenizer(cls, tokenizer: PreTrainedTokenizerBase, words: Mapping[str, str]) -> "ActionTokens":
        """Tokenise one word an action, each as it stands right after the prompt.

        Parameters
        ----------
        tokenizer : PreTrainedTokenizerBase
            The policy's tokenizer.
        words : mapping of str to str
            Action name to word, in action-id order.

        Raises
        ------
        ValueError
            If two words have the same tokens, or one's tokens begin another's.
        """
        ids = tuple(tuple(tokenizer(word, add_special_tokens=False)["input_ids"]) for word in words.values())
        return cls(tuple(words), tuple(words.values()), ids)

    @cached_property
    def nodes(self) -> tuple[BranchingNode, ...]:
        """The nodes at which a choice is made, the shortest prefix first."""
        prefixes = {ids[:depth]: None for ids in self.token_ids for depth in range(len(ids))}
        nodes = []
        for prefix in sorted(prefixes, key=len):
            depth = len(prefix)
            below = [ids[depth] if ids[:depth] == prefix else None for ids in self.token_ids]
            children = tuple(dict.fromkeys(token for token in below if token is not None))
            if len(children) > 1:
                members = tuple(tuple(token == child for token in below) for child in children)
                nodes.append(BranchingNode(prefix, children, members))
        return tuple(nodes)

    def log_probs(self, node_logits: list[torch.Tensor], legal: torch.Tensor) -> torch.Tensor:
        """Combine the logits at each branching node into log-probabilities of the legal actions.

        Parameters
        ----------
        node_logits : list of torch.Tensor
            One tensor a node of `nodes`, shape (B, children of that node).
        legal : torch.Tensor of bool, shape (B, A)
            At least one legal action in each row.

        Returns
        -------
        torch.Tensor, shape (B, A)
            They sum to one over the legal actions; illegal actions have minus infinity.
        """
        total = torch.zeros(legal.shape, dtype=node_logits[0].dtype, device=legal.device)
        for node, logits in zip(self.nodes, node_logits, strict=True):
            members = torch.tensor(node.members, device=legal.device)
            open_child = (legal[:, None, :] & members).any(-1)
            # A node without a legal action below it is left open: no legal action's path crosses it.
            open_child = open_child | ~open_child.any(-1, keepdim=True)
            child_log_probs = logits.masked_fill(~open_child, float("-inf")).log_softmax(-1)
            child_of_action = members.int().argmax(0)
            total = total + child_log_probs[:, child_of_action].masked_fill(~members.any(0), 0.0)
        return total.masked_fill(~legal, float("-inf"))
