"""A language model behind an OpenAI-compatible endpoint, which is asked once a state and trains on nothing."""

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np

from flag_trl.accounts import PositionScheme
from flag_trl.agent import Decision
from flag_trl.observations import Markets, Observation, ObservationConfig, Observer

ATTEMPTS = 4
TIMEOUT = 120.0
BUSY = (408, 409, 425, 429, 500, 502, 503, 504)


class ChatPolicy:
    """Shows the model what the trained policy is shown, and takes the first legal word of its answer.

    Answers are kept in a file and not asked for again. An answer without a legal word trades nothing where the scheme
    has such an action, and else goes into cash; how often that was so stands in `unreadable`.

    Parameters
    ----------
    url : str
        Base of the endpoint, such as ``http://localhost:8000/v1``. The key is read from OPENAI_API_KEY.
    model : str
        Its name there.
    observation : ObservationConfig
    scheme : PositionScheme
    answers : path
        JSON lines of prompt hash and answer; made if it is not there.
    """

    def __init__(
        self, url: str, model: str, observation: ObservationConfig, scheme: PositionScheme, answers: str | Path
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"the endpoint {url!r} is no web address; give one such as http://localhost:8000/v1")
        self._url = url.rstrip("/") + "/chat/completions"
        # What an agent reads as soft tokens stands in the text here.
        self._observation = replace(observation, numbers="text", chart_bars=0)
        self._model, self._scheme = model, scheme
        self._weights = scheme.target_weight(np.arange(len(scheme.actions)))
        self._file = Path(answers)
        self._known: dict[str, str] = {}
        if self._file.is_file():
            self._known = dict(_entries(self._file))
        self.unreadable = 0

    def observer(self, markets: Markets, fill: Literal["next_open", "same_close"]) -> Observer:
        """The trained policy's own view, budgets counted in characters of four to a token."""
        return Observer(markets, self._observation, fill, lambda text: -(-len(text) // 4))

    def decide(self, observations: Sequence[Observation], uniforms: np.ndarray | None = None) -> Decision:
        """Ask for each observation; `uniforms` change nothing."""
        actions = np.array([self._action(observation) for observation in observations])
        return Decision(actions, np.eye(len(self._scheme.actions))[actions])

    def _action(self, observation: Observation) -> int:
        legal = [name for name, open_ in zip(self._scheme.actions, observation.legal, strict=True) if open_]
        answer = self._answer(
            [
                {"role": "system", "content": f"Trade one stock. Answer with one word: {', '.join(legal)}."},
                {"role": "user", "content": f"{observation.market_text}\n{observation.account_text}"},
            ]
        )
        words = re.findall(r"[a-z]+|-?\d+%", answer.lower())
        said = next((word for word in words if word in legal), None)
        if said is not None:
            return self._scheme.actions.index(said)
        self.unreadable += 1
        weights = np.where(observation.legal, np.nan_to_num(np.abs(self._weights), nan=0.0), np.inf)
        idle = np.flatnonzero(np.isnan(self._weights) & np.array(observation.legal))
        return int(idle[0] if len(idle) else weights.argmin())

    def _answer(self, messages: list[dict[str, str]]) -> str:
        text = json.dumps([self._model, messages])
        key = blake2b(text.encode(), digest_size=16).hexdigest()
        if key not in self._known:
            self._known[key] = _patiently(lambda: self._ask(messages))
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with self._file.open("a") as lines:
                lines.write(json.dumps({"prompt": key, "answer": self._known[key]}) + "\n")
        return self._known[key]

    def _ask(self, messages: list[dict[str, str]]) -> str:
        asked = {"model": self._model, "messages": messages, "max_tokens": 16, "temperature": 0}
        request = Request(self._url, json.dumps(asked).encode(), {"Content-Type": "application/json"})
        key = os.environ.get("OPENAI_API_KEY")
        if key:
            # Unlike other headers this one does not follow a redirect elsewhere.
            request.add_unredirected_header("Authorization", f"Bearer {key}")
        with urlopen(request, timeout=TIMEOUT) as reply:
            found: Any = json.loads(reply.read())
        return str(found["choices"][0]["message"]["content"] or "")


def _entries(file: Path) -> Iterator[tuple[str, str]]:
    """Answers that were kept; a last line that an interruption cut short is left out."""
    for line in file.read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        yield entry["prompt"], entry["answer"]


def _patiently(ask: Callable[[], str], wait: float = 1.0) -> str:
    """Ask again, later and later, where the endpoint is busy or away."""
    for attempt in range(ATTEMPTS):
        try:
            return ask()
        except HTTPError as error:
            if attempt + 1 == ATTEMPTS or error.code not in BUSY:
                said = error.read()[:300].decode(errors="replace")
                raise OSError(f"{error.url} answered {error.code} {error.reason}: {said}") from error
        except OSError as error:
            if attempt + 1 == ATTEMPTS:
                raise OSError(
                    f"the endpoint cannot be reached: {error}; is it running, is --chat_url right?"
                ) from error
        time.sleep(wait * 2**attempt)
    raise AssertionError("unreachable")
