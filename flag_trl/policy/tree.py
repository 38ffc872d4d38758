"""Prompts as a tree of shared segments, packed into rows of tokens.

Prompts that begin alike share their beginning: each segment is written once, and a token attends to its own segment
and to those above it, so every prompt is computed as if it stood alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Literal, TypeVar, get_args

import numpy as np
import torch

from flag_trl.policy.soft import SoftTokens
from flag_trl.policy.vision import ImageTokens

Segments = Sequence[tuple[int, ...]]
Share = Literal["prefixes", "states", "none"]
SHARES = get_args(Share)
Kind = TypeVar("Kind", SoftTokens, ImageTokens)

ROW_TOKENS = 512
"""How long a row of several branches may become: long enough that a common beginning costs little, short enough that
attention between branches, computed and masked, costs little too. A prompt that is longer has a row of its own."""

OPEN_ROWS = 32
"""Among how many of the latest rows a place is sought: enough to fill them well, and linear in the prompts."""


@dataclass(eq=False)
class Segment:
    """A run of tokens in the tree.

    Attributes
    ----------
    key : bytes
        Digest of all tokens and images from the prompt's beginning to this segment's end, and of where its segments
        meet; not of soft tokens' numbers, which enter above the trunk.
    tokens : tuple of int
    start : int
        Position of the first token in the prompt.
    parent : Segment or None
    children : list of Segment
    """

    key: bytes
    tokens: tuple[int, ...]
    start: int
    parent: "Segment | None"
    children: list["Segment"] = field(default_factory=list)

    def path(self) -> Iterator["Segment"]:
        """This segment and those above it, up to the prompt's beginning."""
        segment: Segment | None = self
        while segment is not None:
            yield segment
            segment = segment.parent

    def subtree(self) -> Iterator["Segment"]:
        """This segment and all below it, each after its parent."""
        yield self
        for child in self.children:
            yield from child.subtree()


@dataclass(frozen=True)
class Row:
    """One row of a batch: a common beginning, perhaps none, and the branches that follow it."""

    segments: list[Segment]

    @property
    def length(self) -> int:
        """Tokens in the row."""
        return sum(len(segment.tokens) for segment in self.segments)


@dataclass(frozen=True)
class TreeBatch:
    """Rows of tokens that are computed together, and the prompts that end in them.

    Attributes
    ----------
    segments : list of lists of Segment
        Those of each row, in the order of their tokens.
    prompts : ndarray of int64, shape (U,)
        Which prompts these are.
    tensors : dict of str to torch.Tensor
        ``input_ids`` and ``positions``, shape (B, L); ``paths``, shape (B, L, D): the numbers of the segments from the
        top of the tree to the token's own, then zeros (minus one on padding); ``queries``, shape (B, Q): tokens of
        each row whose outputs are read; ``answers``, shape (U, K): for each prompt and each branching node of the
        actions, where in the flattened queries its output stands. With soft tokens also ``soft_numbers``, shape
        (S, K), and ``soft_places``, shape (S, n): their numbers, and where in the flattened tokens they stand. With
        images also ``image_places``, shape (I x n,): where their features stand.
    images : list of ImageTokens, length I
        Those of the rows, in the order of their places.
    """

    segments: list[list[Segment]]
    prompts: np.ndarray
    tensors: dict[str, torch.Tensor]
    images: list[ImageTokens] = field(default_factory=list)

    def parts(self, hidden: torch.Tensor) -> Iterator[tuple[Segment, torch.Tensor]]:
        """Each segment with its part of `hidden`, shape (B, L, hidden size): a view of shape (tokens, hidden size)."""
        for row, segments in zip(hidden, self.segments, strict=True):
            start = 0
            for segment in segments:
                yield segment, row[start : start + len(segment.tokens)]
                start += len(segment.tokens)


class PromptTree:
    """The tree of some prompts, each followed by the action prefixes at which a choice is made.

    Parameters
    ----------
    prompts : sequence of segment sequences
        Each prompt in pieces; pieces that begin a prompt alike are shared.
    prefixes : sequence of tuple of int
        What may follow a prompt before a choice; the empty prefix is the prompt's own end.
    share : {"prefixes", "states", "none"}
        Without ``prefixes``, every prompt is a row of its own.

    Attributes
    ----------
    ends : list of lists of Segment
        For each prompt and each prefix, the segment whose last token's output is read.
    """

    def __init__(self, prompts: Sequence[Segments], prefixes: Sequence[tuple[int, ...]], share: Share) -> None:
        self.roots: list[Segment] = []
        self._shared = share == "prefixes"
        self._known: dict[tuple[int, tuple[int, ...]], Segment] = {}
        self.ends: list[list[Segment]] = []
        for prompt in prompts:
            if not self._shared:
                self._known.clear()
            segment: Segment | None = None
            for tokens in filter(len, prompt):
                segment = self._below(segment, tokens)
            if segment is None:
                raise ValueError("a prompt has no token")
            self.ends.append([self._below(segment, prefix) if prefix else segment for prefix in prefixes])
        self._final = {ends[0] for ends in self.ends}
        self._choices = {end for ends in self.ends for end in ends} - self._final

    def _below(self, parent: Segment | None, tokens: tuple[int, ...]) -> Segment:
        """The segment with these tokens below `parent`, made if it is new."""
        place = (id(parent), tokens)
        found = self._known.get(place)
        if found is None:
            above = parent.key if parent else b""
            content = np.array(tokens, dtype=np.int64).tobytes() + getattr(tokens, "digest", b"")
            key = blake2b(above + content, digest_size=16).digest()
            start = parent.start + len(parent.tokens) if parent else 0
            found = self._known[place] = Segment(key, tokens, start, parent)
            (parent.children if parent else self.roots).append(found)
        return found

    def segments(self) -> Iterator[Segment]:
        """Every segment of the tree, each after its parent."""
        for root in self.roots:
            yield from root.subtree()

    def batches(self, max_tokens: int) -> Iterator[TreeBatch]:
        """Rows of like length in batches of at most `max_tokens` tokens, padding included (one row at least)."""
        prompts_at: dict[Segment, list[int]] = {}
        for prompt, ends in enumerate(self.ends):
            prompts_at.setdefault(ends[0], []).append(prompt)
        for rows in self.packed(max_tokens):
            yield self._batch(rows, prompts_at)

    def packed(self, max_tokens: int) -> Iterator[list[Row]]:
        """The rows of each of the `batches`."""
        batch: list[Row] = []
        for row in sorted(self._rows(min(ROW_TOKENS, max_tokens)), key=lambda row: row.length):
            if batch and row.length * (len(batch) + 1) > max_tokens:
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    def _rows(self, capacity: int) -> Iterator[Row]:
        """Branches of a root packed first-fit into rows of `capacity`, where they fit."""
        for root in self.roots:
            if not (self._shared and root.children):
                yield Row(list(root.subtree()))
                continue
            # Segments of a row in order; what a branch shares with it costs nothing.
            bins: list[dict[Segment, None]] = []
            room: list[int] = []
            for branch in self._branches(root, [], capacity):
                for i in range(max(0, len(bins) - OPEN_ROWS), len(bins)):
                    cost = sum(len(segment.tokens) for segment in branch if segment not in bins[i])
                    if cost <= room[i]:
                        break
                else:
                    i, cost = len(bins), sum(len(segment.tokens) for segment in branch)
                    bins.append({})
                    room.append(capacity)
                bins[i].update(dict.fromkeys(branch))
                room[i] -= cost
            yield from (Row(list(segments)) for segments in bins)

    def _branches(self, segment: Segment, path: list[Segment], capacity: int) -> Iterator[list[Segment]]:
        """The subtree with the path to it, whole if that fits in a row, else split at the children, the path repeated.

        What may follow a prompt stays with its end.
        """
        whole = [*path, *segment.subtree()]
        own = [child for child in segment.children if child in self._choices]
        further = [child for child in segment.children if child not in self._choices]
        if not further or (path and Row(whole).length <= capacity):
            yield whole
            return
        if segment in self._final:
            yield [*path, segment, *own]
        for child in further:
            yield from self._branches(child, [*path, segment], capacity)

    def _batch(self, rows: list[Row], prompts_at: dict[Segment, list[int]]) -> TreeBatch:
        length = max(row.length for row in rows)
        # A common beginning stands in several rows; a prompt that ends with it is counted where its choices are.
        prompts: list[int] = []
        for row in rows:
            here = set(row.segments)
            for segment in row.segments:
                if segment in prompts_at and here.issuperset(self.ends[prompts_at[segment][0]]):
                    prompts += prompts_at.pop(segment)
        place: list[dict[Segment, int]] = []
        input_ids, positions = np.zeros((2, len(rows), length), dtype=np.int64)
        chains: list[dict[Segment, list[int]]] = []
        for b, row in enumerate(rows):
            offset = 0
            ends: dict[Segment, int] = {}
            chain: dict[Segment, list[int]] = {}
            for number, segment in enumerate(row.segments, 1):
                stop = offset + len(segment.tokens)
                input_ids[b, offset:stop] = segment.tokens
                positions[b, offset:stop] = np.arange(segment.start, segment.start + len(segment.tokens))
                chain[segment] = [*chain.get(segment.parent, []), number] if segment.parent else [number]
                ends[segment] = stop - 1
                offset = stop
            place.append(ends)
            chains.append(chain)
        tensors = {
            "input_ids": torch.from_numpy(input_ids),
            "positions": torch.from_numpy(positions),
            "paths": torch.from_numpy(_paths(rows, chains, length)),
            **self._reads(prompts, place),
            **_soft(rows, length),
        }
        images, places = _images(rows, length)
        if images:
            tensors["image_places"] = torch.from_numpy(np.concatenate(places))
        return TreeBatch([row.segments for row in rows], np.array(prompts), tensors, images)

    def _reads(self, prompts: list[int], place: list[dict[Segment, int]]) -> dict[str, torch.Tensor]:
        """Where outputs are read: ``queries`` and ``answers`` of a `TreeBatch`."""
        wanted = {segment for prompt in prompts for segment in self.ends[prompt]}
        reads = [[segment for segment in row if segment in wanted] for row in place]
        width = max(1, *map(len, reads))
        queries = np.zeros((len(place), width), dtype=np.int64)
        found: dict[Segment, int] = {}
        for b, (row, segments) in enumerate(zip(place, reads, strict=True)):
            for q, segment in enumerate(segments):
                queries[b, q] = row[segment]
                # A shared beginning stands in several rows; any of them will do.
                found[segment] = b * width + q
        answers = np.array([[found[segment] for segment in self.ends[prompt]] for prompt in prompts], dtype=np.int64)
        return {"queries": torch.from_numpy(queries), "answers": torch.from_numpy(answers)}


def _paths(rows: list[Row], chains: list[dict[Segment, list[int]]], length: int) -> np.ndarray:
    """``paths`` of a `TreeBatch`."""
    depth = max(len(chain) for row in chains for chain in row.values())
    paths = np.full((len(rows), length, depth), -1, dtype=np.int64)
    for b, row in enumerate(rows):
        offset = 0
        for segment in row.segments:
            stop = offset + len(segment.tokens)
            chain = chains[b][segment]
            paths[b, offset:stop] = chain + [0] * (depth - len(chain))
            offset = stop
    return paths


def _located(rows: list[Row], length: int, kind: type[Kind]) -> Iterator[tuple[Kind, int]]:
    """Segments of a kind, and where in the flattened tokens each begins."""
    for b, row in enumerate(rows):
        offset = b * length
        for segment in row.segments:
            if isinstance(segment.tokens, kind):
                yield segment.tokens, offset
            offset += len(segment.tokens)


def _soft(rows: list[Row], length: int) -> dict[str, torch.Tensor]:
    """``soft_numbers`` and ``soft_places`` of a `TreeBatch`; nothing where no segment has any."""
    found = list(_located(rows, length, SoftTokens))
    if not found:
        return {}
    places = np.array([np.arange(start, start + len(tokens)) for tokens, start in found], dtype=np.int64)
    return {
        "soft_numbers": torch.from_numpy(np.stack([tokens.numbers for tokens, _ in found])),
        "soft_places": torch.from_numpy(places),
    }


def _images(rows: list[Row], length: int) -> tuple[list[ImageTokens], list[np.ndarray]]:
    """The images of a `TreeBatch`, and where the features of each stand."""
    found = list(_located(rows, length, ImageTokens))
    return [image for image, _ in found], [np.array(image.places) + start for image, start in found]
