"""A feed that will not come a second time, kept as it comes."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Protocol

from flag_trl.live.events import ClockTick, FeedEvent, FeedNotice, Halt, NewsItem, PriceBar, Quote
from flag_trl.live.journal import Journal

KINDS = {kind.__name__: kind for kind in (PriceBar, NewsItem, Quote, Halt, ClockTick, FeedNotice)}


def kept_moments(journal: Journal) -> Iterator[list[FeedEvent]]:
    """What a journal has kept of a feed."""
    for row in journal.rows("feed"):
        yield [KINDS[kind](**values) for kind, values in json.loads(row["content"])]


class Batches(Protocol):
    """A source of events that will not come again."""

    def batches(self) -> Iterator[list[list[FeedEvent]]]:
        """Moments that arrived together, again and again; the next ones are waited for."""
        ...


@dataclass(frozen=True)
class RecordedFeed:
    """First what a journal has kept of a feed, then the feed; what arrived together is kept before it is played.

    Attributes
    ----------
    journal : Journal
    feed : Batches
    """

    journal: Journal
    feed: Batches

    def moments(self) -> Iterator[list[FeedEvent]]:
        """All of them, from the first on."""
        last = 0
        for moment in list(kept_moments(self.journal)):
            last = max(last, moment[0].ts)
            self._keep([moment])
            yield moment
        for batch in self.feed.batches():
            # A venue may give again what was kept before an interruption.
            new = [moment for moment in batch if isinstance(moment[0], FeedNotice) or moment[0].ts > last]
            self._keep(new)
            yield from new

    def _keep(self, moments: list[list[FeedEvent]]) -> None:
        for moment in moments:
            content = json.dumps([(type(event).__name__, asdict(event)) for event in moment])
            self.journal.append("feed", {"ts": moment[0].ts, "content": content})
        self.journal.commit()
