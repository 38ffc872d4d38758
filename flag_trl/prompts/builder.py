"""From an observation to token ids, each part tokenised on its own so that equal parts have equal tokens."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from flag_trl.observations import Chart, Numbers, Observation

_MARKET, _ACCOUNT = "\ue000market\ue000", "\ue000account\ue000"
BLOCKS = ("system", "user", "account")


class Prompt(NamedTuple):
    """A state as the policy sees it; equal prompts are one state.

    Attributes
    ----------
    segments : tuple of tuple of int
        Tokens of the task, of the market part and of the account part, each with the template's text behind it:
        prompts of a day share the first two, and all prompts the first. Where there are `numbers`, the last but one
        holds the place of the soft tokens made of them; where there is an `image`, the second holds its place.
    legal : tuple of bool
        Which actions may be taken, by action id.
    numbers : Numbers, optional
    image : Chart, optional
    """

    segments: tuple[tuple[int, ...], ...]
    legal: tuple[bool, ...]
    numbers: Numbers | None = None
    image: Chart | None = None

    @property
    def token_ids(self) -> tuple[int, ...]:
        """The whole prompt."""
        return tuple(chain.from_iterable(self.segments))


class PromptBuilder:
    """Renders a template through the tokenizer's chat template and fills it with market and account parts.

    Parameters
    ----------
    tokenizer : PreTrainedTokenizerBase
        Needs a chat template. Families without a system role get the task at the head of the user's turn; families
        that think aloud are told not to.
    words : mapping of str to str
        Action name to the word that the policy says, in action-id order.
    template : str, optional
        Jinja text with the blocks ``system``, ``user`` and ``account``; by default the package's own.
    soft_tokens : int
        How many hold the place of an observation's numbers, between market and account.
    image_tokens : tuple of int
        What holds the place of an observation's image, before the market.

    Raises
    ------
    ValueError
        If the template lacks a block, puts the account before the market, or the tokenizer has no chat template.
    """

    def __init__(
        self,
        tokenizer: Any,
        words: Mapping[str, str],
        template: str | None = None,
        soft_tokens: int = 0,
        image_tokens: tuple[int, ...] = (),
    ) -> None:
        self.tokenizer = tokenizer
        self.template = template or files(__package__).joinpath("default.jinja").read_text()
        self._words = tuple(words.values())
        environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined)
        self._compiled = environment.from_string(self.template)
        missing = [name for name in BLOCKS if name not in self._compiled.blocks]
        if missing:
            raise ValueError(
                f"the prompt template lacks the block(s) {', '.join(missing)}; it needs {', '.join(BLOCKS)}"
            )
        self._head, self._middle, self._tail = (self._control_ids(part) for part in self._fixed_parts())
        self._data_ids = lru_cache(maxsize=65536)(self._encode_data)
        # Line breaks say nothing by themselves.
        self._image = image_tokens
        self._place = self._encode_data("\n")[-1:] * soft_tokens
        self._market_ids = lru_cache(maxsize=65536)(lambda text: self._data_ids(text) + self._middle)
        self._account_ids = lru_cache(maxsize=65536)(lambda text: self._data_ids(text) + self._tail)

    def build(self, observation: Observation) -> Prompt:
        """Tokenise one observation: task and market first, the account part last."""
        market, account = self.texts(observation)
        image = () if observation.image is None else (self._image,)
        place = () if observation.numbers is None else (self._place,)
        segments = (self._head, *image, self._market_ids(market), *place, self._account_ids(account))
        return Prompt(segments, observation.legal, observation.numbers, observation.image)

    def texts(self, observation: Observation) -> tuple[str, str]:
        """The market part and the account part as they are tokenised."""
        words = self._legal_words(observation.legal)
        return observation.market_text, self._block("account", account_text=observation.account_text, legal=words)

    def parts(self, observation: Observation) -> list[tuple[str, str, int]]:
        """Name, text and token count of each part of a prompt, in order, for people to read."""
        market, account = self.texts(observation)
        named = [
            ("task", self._head),
            ("image", () if observation.image is None else self._image),
            ("market", self._data_ids(market)),
            ("between", self._middle),
            ("soft", () if observation.numbers is None else self._place),
            ("account", self._data_ids(account)),
            ("answer", self._tail),
        ]
        return [
            (name, self.tokenizer.decode(list(ids)), len(ids))
            for name, ids in named
            if ids or name not in ("soft", "image")
        ]

    def count_tokens(self, text: str) -> int:
        """Tokens that a piece of data takes."""
        return len(self._encode_data(text))

    def _legal_words(self, legal: Sequence[bool]) -> list[str]:
        return [word for word, allowed in zip(self._words, legal, strict=True) if allowed]

    def _block(self, name: str, **values: object) -> str:
        context = self._compiled.new_context({"words": self._words, **values})
        return "".join(self._compiled.blocks[name](context)).strip()

    def _fixed_parts(self) -> list[str]:
        """The rendered chat before the market part, between the parts, and behind the account part."""
        system = self._block("system")
        user = self._block("user", market=_MARKET, account=_ACCOUNT)
        rendered = render_chat(self.tokenizer, system, user)
        head, found_market, rest = rendered.partition(_MARKET)
        middle, found_account, tail = rest.partition(_ACCOUNT)
        if not (found_market and found_account):
            raise ValueError("the block `user` must hold {{ market }} once and {{ account }} once behind it")
        return [head, middle, tail]

    def _control_ids(self, text: str) -> tuple[int, ...]:
        """Tokens of the template's own text, in which control tokens count as such."""
        return tuple(self.tokenizer(text, add_special_tokens=False)["input_ids"]) if text else ()

    def _encode_data(self, text: str) -> tuple[int, ...]:
        return data_ids(self.tokenizer, text)


def data_ids(tokenizer: Any, text: str) -> tuple[int, ...]:
    """Tokens of data: a control token written in it is spelt out letter by letter and controls nothing."""
    return tuple(tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def render_chat(tokenizer: Any, system: str, user: str) -> str:
    """The chat up to where the answer begins.

    Raises
    ------
    ValueError
        If the tokenizer has no chat template, or one that leaves out what it is given.
    """
    if not tokenizer.chat_template:
        raise ValueError(
            f"the tokenizer of {tokenizer.name_or_path or 'this model'} has no chat template; use an "
            "instruction-tuned model or set tokenizer.chat_template"
        )
    options = {"tokenize": False, "add_generation_prompt": True, "enable_thinking": False}
    task, turn = {"role": "system", "content": system}, {"role": "user", "content": user}
    # Some families refuse a system turn and some drop it: the task then heads the user's turn. Those that see take
    # their turns in pieces.
    for messages in ([task, turn], [{"role": "user", "content": f"{system}\n{user}"}]):
        for pieces in (False, True):
            given = [{**m, "content": [{"type": "text", "text": m["content"]}]} if pieces else m for m in messages]
            try:
                rendered = str(tokenizer.apply_chat_template(given, **options))
            except (TemplateError, TypeError):
                continue
            if system in rendered and user in rendered:
                return rendered
    raise ValueError(
        f"the chat template of {tokenizer.name_or_path or 'this tokenizer'} shows neither turn; give another"
    )


def read_template(path: str | Path | None) -> str | None:
    """Text of a template file; None where no path is given.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    """
    if path is None:
        return None
    if not Path(path).is_file():
        raise FileNotFoundError(f"no prompt template at {path}")
    return Path(path).read_text()
