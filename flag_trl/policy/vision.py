"""Images in prompts: what holds their place, and what a vision-language model makes of them."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import torch

from flag_trl.policy.marked import MarkedTokens
from flag_trl.policy.tuning import SEEING

BEFORE, BEHIND = 2, 1
AROUND, GLOBAL = "<fake_token_around_image>", "<global-img>"


@dataclass(frozen=True)
class VisionInput:
    """How a family writes an image into a prompt.

    Attributes
    ----------
    tokens : tuple of int
        What stands in the prompt for one image that is not split.
    size : int
        Width and height in pixels.
    """

    tokens: tuple[int, ...]
    size: int

    @classmethod
    def of(cls, model: Any, tokenizer: Any) -> "VisionInput | None":
        """That of a model; None for one that sees nothing.

        Raises
        ------
        ValueError
            If the tokenizer lacks the tokens that stand around an image.
        """
        config = model.config
        if config.model_type not in SEEING:
            return None
        around, whole = (tokenizer.convert_tokens_to_ids(word) for word in (AROUND, GLOBAL))
        if None in (around, whole) or tokenizer.unk_token_id in (around, whole):
            raise ValueError(f"the tokenizer has no {AROUND} or {GLOBAL}; use the one that comes with the model")
        size = int(config.vision_config.image_size)
        count = (size // config.vision_config.patch_size) ** 2 // config.scale_factor**2
        tokens = (around, whole, *[config.image_token_id] * count, around)
        return cls(tokens, size)


class ImageTokens(MarkedTokens):
    """A segment of a prompt that stands for an image; two are equal where their images are, too.

    Attributes
    ----------
    png : bytes
    digest : bytes
        Of the image: the trunk's states depend on it.
    """

    png: bytes
    digest: bytes

    def __new__(cls, tokens: tuple[int, ...], png: bytes) -> "ImageTokens":
        made = super().__new__(cls, tokens)
        made.png = png
        made.digest = made.content = blake2b(png, digest_size=16).digest()
        return made

    @property
    def places(self) -> range:
        """Which tokens the image's features replace: all but the two before them and the one behind."""
        return range(BEFORE, len(self) - BEHIND)


def pixels(images: Sequence[ImageTokens], size: int) -> torch.Tensor:
    """PNGs as the model takes them, float32 of shape (I, 3, size, size) between -1 and 1.

    That is the processor's own scaling of these families, with mean and deviation of one half; images come at the
    model's own size and are neither resized nor split.

    Raises
    ------
    ValueError
        If an image has another size.
    """
    from PIL import Image

    arrays = [np.asarray(Image.open(io.BytesIO(image.png)).convert("RGB")) for image in images]
    odd = [array.shape[:2] for array in arrays if array.shape[:2] != (size, size)]
    if odd:
        raise ValueError(f"an image has {odd[0][1]} x {odd[0][0]} pixels; this model takes {size} x {size}")
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def features(model: Any, images: torch.Tensor) -> torch.Tensor:
    """What stands in the prompt in place of each image's tokens, shape (I x tokens, hidden size)."""
    found = model.model.get_image_features(images[:, None], return_dict=True).pooler_output
    return torch.cat(list(found))
