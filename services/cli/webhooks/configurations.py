"""The webhook configurations of a file, as the chart writes it, with the CA put in."""

import base64
import ssl
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from services.cli import yaml_documents
from shared.domain.errors import InvalidSettings
from shared.ports.webhook_configurations import Which

HTTPS = 443


class Address(msgspec.Struct, frozen=True):
    """Where the API server calls a webhook."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class Wanted(msgspec.Struct, frozen=True):
    """The configurations that the API server is to have."""

    documents: dict[Which, dict[str, Any]]
    installation: str
    """`NAMESPACE/RELEASE` whose they are."""
    addresses: frozenset[Address]
    authorities: str
    """PEM: who made the webhooks' certificates."""

    @property
    def can_refuse(self) -> bool:
        """Whether some object is refused while no webhook answers."""
        webhooks = (each for one in self.documents.values() for each in one["webhooks"])
        return any(each.get("failurePolicy", "Fail") != "Ignore" for each in webhooks)


def read_wanted(file: Path, *, authorities: Path) -> Wanted:
    """The configurations of `file`, each with the certificates of `authorities` (PEM) as caBundle.

    Raises InvalidSettings, which names the file and what is wrong in it.
    """
    bundle = _read_authorities(authorities)
    documents: dict[Which, dict[str, Any]] = {}
    try:
        for document in yaml_documents.documents(_text(file)):
            if document is not None:
                which = _which(document)
                if which in documents:
                    raise ValueError(f"{which} stands there twice")
                documents[which] = document
        if Which.VALIDATING not in documents:
            raise ValueError(f"{Which.VALIDATING} is missing")
        return Wanted(
            documents,
            _installation(documents),
            frozenset(
                _put_in(each, bundle) for one in documents.values() for each in one["webhooks"]
            ),
            bundle,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        said = f"{type(error).__name__}: {error}" if isinstance(error, KeyError) else str(error)
        raise InvalidSettings(
            f"{file} does not hold the webhook configurations of imagegate as its chart writes "
            f"them: {said}"
        ) from error


def _which(document: dict[str, Any]) -> Which:
    kind, name = document["kind"], document["metadata"]["name"]
    for which in Which:
        if (which.kind, which.called) == (kind, name):
            return which
    raise ValueError(f"{kind} {name} is none of {', '.join(map(str, Which))}")


def _installation(documents: dict[Which, dict[str, Any]]) -> str:
    said = {
        str(one["metadata"]["annotations"]["imagegate.dev/installation"])
        for one in documents.values()
    }
    if len(said) != 1:
        raise ValueError("they do not say alike whose they are (imagegate.dev/installation)")
    return said.pop()


def _put_in(webhook: dict[str, Any], authorities: str) -> Address:
    called = webhook["clientConfig"]
    called["caBundle"] = base64.b64encode(authorities.encode()).decode()
    if "url" in called:
        url = urlsplit(called["url"])
        if url.scheme != "https" or not url.hostname:
            raise ValueError(f"{called['url']} is no https:// address")
        return Address(url.hostname, url.port or HTTPS)
    service = called["service"]
    return Address(f"{service['name']}.{service['namespace']}.svc", service.get("port", HTTPS))


def _read_authorities(file: Path) -> str:
    """Certificates alone: of what else may stand in the file nothing goes to the API server."""
    text = _text(file)
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    found = [begin + part.partition(end)[0] + end + "\n" for part in text.split(begin)[1:]]
    try:
        # OpenSSL reads each, so that a mistake is found here and not by the API server.
        ssl.create_default_context().load_verify_locations(cadata="".join(found))
    except (ssl.SSLError, ValueError) as error:
        raise InvalidSettings(
            f"{file} holds no certificate in PEM: it must be that of the CA which made the "
            "webhook's certificate (values: certificates)"
        ) from error
    return "".join(found)


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise InvalidSettings(f"{file} cannot be read: {reason}") from error
    except UnicodeDecodeError as error:
        raise InvalidSettings(f"{file} is no text") from error
