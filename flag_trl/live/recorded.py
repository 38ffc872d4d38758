"""A feed that will not come a second time, kept as it comes."""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Protocol

from flag_trl.live.events import ClockTick, FeedEvent, FeedNotice, Halt, NewsItem, PriceBar, Quote
from flag_trl.live.journal import Journal

KINDS = {kind.__name__: kind for kind in (PriceBar, NewsItem, Quote, Halt, ClockTick, FeedNotice)}


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
    feed_of : callable
        Gives the feed, once it is known what was kept of it.
    """

    journal: Journal
    feed_of: Callable[[list[FeedEvent]], Batches]

    def moments(self) -> Iterator[list[FeedEvent]]:
        """All of them, from the first on."""
        kept = [
            [KINDS[kind](**values) for kind, values in json.loads(row["content"])] for row in self.journal.rows("feed")
        ]
        for moment in kept:
            self._keep([moment])
            yield moment
        events = [event for moment in kept for event in moment]
        last = max((event.ts for event in events), default=0)
        for batch in self.feed_of(events).batches():
            # A venue may give again what was kept before an interruption.
            new = [moment for moment in batch if isinstance(moment[0], FeedNotice) or moment[0].ts > last]
            self._keep(new)
            yield from new

    def _keep(self, moments: list[list[FeedEvent]]) -> None:
        for moment in moments:
            content = json.dumps([(type(event).__name__, asdict(event)) for event in moment])
            self.journal.append("feed", {"ts": moment[0].ts, "content": content})
        self.journal.commit()
