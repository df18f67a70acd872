"""The polling budget of all workers in Redis."""

from shared.adapters.redis_store.links import RedisLinks
from shared.adapters.redis_store.scripts.polls import TAKE_POLL
from shared.domain.step import Lane
from shared.ports.polls import Turn


class RedisPolls:
    """A `shared.ports.polls.Polls`. Raises StoreError as the store does.

    A call whose answer was lost may have taken a turn that nobody uses.
    """

    def __init__(self, *, links: RedisLinks) -> None:
        self._links = links
        self._keys = [f"{links.prefix}polls", f"{links.prefix}leases"]

    async def take(self, *, rate: float, spare: float = 0.0) -> Turn:
        granted, wait, left, under_way, for_people = await self._links.run(
            TAKE_POLL,
            keys=self._keys,
            args=[repr(rate), repr(spare), Lane.CHECK],
            doing="take a turn of the polling budget",
        )
        return Turn(
            granted=bool(granted),
            wait=wait,
            left=float(left),
            under_way=under_way,
            for_people=for_people,
        )
