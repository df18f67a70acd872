"""One of many: work that one process at a time does for all, by a lease."""

from typing import Protocol


class Leadership(Protocol):
    """Leases by name, on the store's clock.

    Guarantees: at any time at most one owner holds a name; a lease that is not renewed ends `life`
    milliseconds after it was taken or last renewed, and then whoever asks first has it.

    Errors: StoreError. Who cannot renew must stop by itself before its `life` is over.
    """

    async def lead(self, name: str, owner: str, *, life: int) -> bool:
        """Take the lease of `name`, or renew it if it is `owner`'s; whether it is `owner`'s now."""

    async def leave(self, name: str, owner: str) -> None:
        """End `owner`'s lease, so that another need not wait for its end; of others' nothing."""
