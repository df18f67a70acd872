"""How much a store of signed exceptions takes, and what it says of more."""

from shared.domain.errors import StoreRefused
from shared.ports.exceptions import MAX_SEALED


def check_size(sealed: bytes, *, exception_id: str) -> None:
    """Raises StoreRefused for a record that no reader would take."""
    if len(sealed) > MAX_SEALED:
        raise StoreRefused(
            f"exception {exception_id} takes {len(sealed)} bytes, at most {MAX_SEALED} are kept: "
            "name fewer findings or namespaces, or make several exceptions of it"
        )


def no_room(kept: int) -> StoreRefused:
    """Says that as many are kept as may be."""
    return StoreRefused(
        f"{kept} exceptions are kept, and no more are taken until one ends (a revoked one keeps "
        "its place until then): `imagegate exceptions list` shows when"
    )
