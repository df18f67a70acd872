"""The signed exceptions that webhooks believe, from the store and from a folder."""

from collections.abc import Mapping
from contextlib import suppress

import msgspec

from services.console.exception_rows import opened
from shared.domain.errors import InvalidException, InvalidSignature
from shared.domain.exceptions import KEY_PREFIX, ImageException
from shared.domain.signing import claimed_key
from shared.ports.exceptions import Folder
from shared.ports.signing import Unsealer


class Believed(msgspec.Struct, frozen=True):
    """Of each id the newest, also such as count no longer: they are told, too."""

    here: tuple[ImageException, ...]
    """Those for the cluster that is asked about."""
    elsewhere: tuple[ImageException, ...]
    """Those for others: they count for nothing here, which is to be told."""


def believed(
    stored: Mapping[str, bytes], folder: Folder, unsealer: Unsealer, *, cluster: str
) -> Believed:
    """As the webhooks of `cluster` believe them."""
    newest: dict[str, ImageException] = {}
    offered = list(stored.items())
    for sealed in folder.sealed.values():
        with suppress(InvalidSignature):
            offered.append((claimed_key(sealed).removeprefix(KEY_PREFIX), sealed))
    for name, sealed in offered:
        with suppress(InvalidSignature, InvalidException):
            exception = opened(name, sealed, unsealer)
            held = newest.get(name)
            if held is None or _order(exception) > _order(held):
                newest[name] = exception
    found = newest.values()
    return Believed(
        here=tuple([each for each in found if each.is_for(cluster)]),
        elsewhere=tuple([each for each in found if not each.is_for(cluster)]),
    )


def _order(exception: ImageException) -> tuple[int, bool]:
    """Of the same moment is newer what revokes, as to a webhook."""
    return exception.made_at, exception.revoked
