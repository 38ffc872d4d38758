"""A feed that will not come a second time, kept as it comes."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from flag_trl.live.events import ClockTick, FeedEvent, FeedNotice, Halt, NewsItem, PriceBar, Quote
from flag_trl.live.feed import Feed
from flag_trl.live.journal import Journal

KINDS = {kind.__name__: kind for kind in (PriceBar, NewsItem, Quote, Halt, ClockTick, FeedNotice)}


def kept_moments(journal: Journal) -> Iterator[list[FeedEvent]]:
    """What a journal has kept of a feed."""
    for row in journal.rows("feed"):
        yield [KINDS[kind](**values) for kind, values in json.loads(row["content"])]


@dataclass(frozen=True)
class RecordedFeed:
    """First what the journal has kept of a feed, then the feed itself, each moment kept before it is played.

    Attributes
    ----------
    journal : Journal
    feed : Feed
    """

    journal: Journal
    feed: Feed

    def moments(self) -> Iterator[list[FeedEvent]]:
        """All of them, from the first on."""
        last = 0
        for moment in list(kept_moments(self.journal)):
            last = max(last, moment[0].ts)
            yield self._kept(moment)
        for moment in self.feed.moments():
            # A venue may give again what was kept before an interruption.
            if not last or isinstance(moment[0], FeedNotice) or moment[0].ts > last:
                yield self._kept(moment)

    def _kept(self, moment: list[FeedEvent]) -> list[FeedEvent]:
        content = json.dumps([(type(event).__name__, asdict(event)) for event in moment])
        self.journal.append("feed", {"ts": moment[0].ts, "content": content})
        self.journal.commit()
        return moment
