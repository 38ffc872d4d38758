"""The trained network, the model behind an endpoint, the lexicon and the quoted rows."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from eval.baselines.chat import ChatPolicy
from eval.baselines.mlp import MLPPolicy, train_mlp
from eval.baselines.published import quoted_rows
from eval.baselines.sentiment import lexicon_scores
from flag_trl.accounts import AllIn, Signed
from flag_trl.backtest import run_backtest
from flag_trl.data import DatedText, MarketData, Period
from flag_trl.envs import TradingRules
from flag_trl.observations import ObservationConfig

SHORT = Period("short", "2020-10-01", "2020-10-30")


class Endpoint(ThreadingHTTPServer):
    """Answers chat completions as told, and keeps what it was asked."""

    def __init__(self, answers: list[tuple[int, str]]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.asked, self.keys = answers, [], []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        self.server.keys.append(self.headers.get("Authorization"))
        status, text = self.server.answers[min(len(self.server.asked), len(self.server.answers)) - 1]
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        reply = {
            "id": "x",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [choice],
            "usage": usage,
        }
        data = json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def endpoint() -> Iterator[type[Endpoint]]:
    opened: list[Endpoint] = []

    def start(answers: list[tuple[int, str]]) -> Endpoint:
        server = Endpoint(answers)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        opened.append(server)
        return server

    yield start
    for server in opened:
        server.shutdown()
        server.server_close()


def test_the_model_behind_an_endpoint_is_asked_once_a_state_and_its_answers_are_kept(
    endpoint, prices, tmp_path, monkeypatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "secret-key")
    server = endpoint([(200, "Buy."), (200, "I would sell now"), (200, "no idea")])
    rules, markets = TradingRules(scheme=AllIn(), fill="same_close"), {"MSFT": prices["MSFT"]}
    answers = tmp_path / "answers.jsonl"

    def trade() -> tuple[ChatPolicy, list[str]]:
        policy = ChatPolicy(server.url, "m", ObservationConfig(past_returns=2), rules.scheme, answers)
        (ledger,) = run_backtest(policy, markets, [SHORT], rules)
        return policy, [action for action in ledger.equity["action"] if action]

    policy, actions = trade()
    assert actions[:4] == ["buy", "sell", "hold", "hold"] and policy.unreadable == len(actions) - 2
    path, body = server.asked[0]
    assert path == "/v1/chat/completions" and body["model"] == "m" and body["temperature"] == 0
    assert "hold, buy" in body["messages"][0]["content"] and "MSFT" in body["messages"][1]["content"]
    assert server.keys[0] == "Bearer secret-key" and "secret-key" not in answers.read_text()
    count = len(server.asked)
    assert trade()[1] == actions and len(server.asked) == count == len(actions)


def test_a_busy_endpoint_is_asked_again_and_a_wrong_key_is_told_at_once(endpoint, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    busy = endpoint([(503, ""), (429, ""), (200, "buy")])
    policy = ChatPolicy(busy.url, "m", ObservationConfig(), Signed(), tmp_path / "a")
    assert policy._answer([{"role": "user", "content": "?"}]) == "buy" and len(busy.asked) == 3
    closed = endpoint([(401, "")])
    with pytest.raises(Exception, match="401"):
        ChatPolicy(closed.url, "m", ObservationConfig(), Signed(), tmp_path / "b")._answer(
            [{"role": "user", "content": "?"}]
        )
    assert len(closed.asked) == 1


def test_the_network_learns_a_market_that_tells_its_next_move_and_may_do_only_what_is_legal() -> None:
    pytest.importorskip("stable_baselines3", reason="the network is trained by stable-baselines3")
    # Each day repeats the sign of the day before with a chance of 95 %.
    rng = np.random.default_rng(0)
    signs = np.cumprod(np.where(rng.random(700) < 0.05, -1, 1))
    days = np.datetime64("2018-01-01") + np.arange(700)
    market = MarketData("AAA", days, 100 * np.exp(np.cumsum(0.01 * signs)))
    rules = TradingRules(scheme=Signed(), fill="same_close")
    policy = train_mlp({"AAA": market}, Period("train", days[60], days[500]), rules, 6144)
    test = Period("test", days[510], days[690])
    (ledger,) = run_backtest(policy, {"AAA": market}, [test], rules)
    held = ledger.equity["position"].to_numpy()[1:]
    first, stop = market.index_range(test.start, test.end)
    assert np.mean(held == signs[first : stop - 1]) > 0.75
    all_in = TradingRules(scheme=AllIn(), fill="same_close")
    (ledger,) = run_backtest(MLPPolicy(policy._model), {"AAA": market}, [test], all_in)
    assert ledger.equity["position"].between(0, 1).all()


def test_the_lexicon_reads_what_was_known_and_no_filing() -> None:
    day = np.datetime64("2020-01-01T10:00:00")
    texts = (
        DatedText("news", "Excellent results, great growth and a wonderful outlook", day),
        DatedText("10k", "terrible awful loss", day),
        DatedText("news", "Horrible fraud, disastrous loss", day + np.timedelta64(1, "D")),
    )
    dates = np.datetime64("2020-01-01") + np.arange(4)
    market = MarketData("AAA", dates, np.ones(4), texts=texts)
    scores = lexicon_scores({"AAA": market}, [("AAA", 0), ("AAA", 1), ("AAA", 2)], after_close=False)
    assert scores is not None and scores[0] > 0.5 and scores[1] < -0.5 and scores[2] == 0
    assert lexicon_scores({"AAA": MarketData("AAA", dates, np.ones(4))}, [("AAA", 0)], after_close=False) is None


def test_quoted_rows_stand_on_one_convention_and_say_what_was_printed() -> None:
    rows = {row["strategy"]: row for row in quoted_rows("MSFT")}
    assert rows["Buy & Hold"]["SR"] == 1.039 and rows["Llama-3.1-70B"]["SR"] == pytest.approx(1.607, abs=0.001)
    assert "1.335" in str(rows["Llama-3.1-70B"]["note"]) and quoted_rows("AAPL") == []
