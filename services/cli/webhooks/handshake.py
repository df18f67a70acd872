"""Would the API server believe a webhook? A TLS handshake as it makes one, and nothing else."""

import asyncio
import os
import ssl

from services.cli.webhooks.configurations import Address
from shared.domain.errors import ImagegateError

WITHIN = 5.0
"""Seconds."""


class NotBelieved(ImagegateError):
    """Nobody answers there, or with a certificate that the CA did not make for that name."""


async def shake(address: Address, *, authorities: str, within: float = WITHIN) -> None:
    """Raises NotBelieved, at the latest after `within` seconds. A webhook that wants a client
    certificate asks for it afterwards: that is between it and the API server."""
    believing = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    believing.load_verify_locations(cadata=authorities)
    # As Go does: a certificate in the bundle is trusted whether or not it signed itself.
    believing.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    try:
        async with asyncio.timeout(within):
            _, writer = await asyncio.open_connection(address.host, address.port, ssl=believing)
    except ssl.SSLCertVerificationError as error:
        raise NotBelieved(
            f"{address} shows a certificate that is not believed ({error.verify_message})"
        ) from error
    except TimeoutError as error:
        raise NotBelieved(f"{address} did not answer within {within:g} s") from error
    except OSError as error:
        raise NotBelieved(f"{address} cannot be called ({_reason(error)})") from error
    writer.transport.abort()


def _reason(error: OSError) -> str:
    """The kernel's words; a name that cannot be looked up has none of these."""
    number = error.errno or 0
    told = os.strerror(number) if number > 0 else error.strerror or type(error).__name__
    return told.lower()
