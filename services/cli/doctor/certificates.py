"""Whether the API server can believe the webhook: the CA bundles of its configurations."""

import binascii
from base64 import b64decode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from cryptography import x509

from services.cli.doctor.admission import Hook
from services.cli.doctor.remarks import Remark, bad, good, warn
from shared.domain.pointer import DAY
from shared.ports.presence import Alive

PART = "certificates"

SOON = 14
"""Days before its end in which a CA is spoken of."""

_BRING = (
    "put the CA that signed the webhook's certificate into caBundle: `imagegate webhooks apply`, "
    "helm upgrade, or cert-manager's injector"
)

_RENEW = (
    "renew it (docs/install.md, The webhook's certificate): webhooks see a new one by themselves"
)


def bundle_remarks(hooks: Iterable[Hook], *, now: datetime | None = None) -> Iterator[Remark]:
    """Each bundle once."""
    bundles: dict[str, str] = {}
    for hook in hooks:
        bundles.setdefault(hook.client_config.ca_bundle, hook.name)
    for bundle, name in bundles.items():
        yield _remark(bundle, name, now or datetime.now(UTC))
    if len(bundles) > 1:
        yield warn(
            PART,
            f"our webhooks have {len(bundles)} different CA bundles: some calls may fail",
            _BRING,
        )


def served_remarks(alive: Iterable[Alive], *, now: datetime | None = None) -> Iterator[Remark]:
    """What webhooks show, as each says of itself; the one that ends first."""
    ends = [each.beat.certificate_ends for each in alive if each.beat.certificate_ends]
    if not ends:
        return
    days = min(ends) / DAY - (now or datetime.now(UTC)).timestamp() / 86_400
    if days <= 0:
        yield bad(
            PART,
            f"a webhook shows a certificate that ended {-days:.0f} days ago: the API server goes "
            "on with the connections that it has, and refuses each new one",
            _RENEW,
        )
    elif days < SOON:
        yield warn(PART, f"the webhook's certificate ends in {days:.0f} days", _RENEW)
    else:
        yield good(PART, f"the webhook's certificate is good for {days:.0f} days")


def _remark(bundle: str, name: str, now: datetime) -> Remark:
    if not bundle:
        return warn(
            PART,
            f"{name} has no CA bundle: the API server believes only whom its own machine trusts",
            _BRING,
        )
    try:
        authorities = x509.load_pem_x509_certificates(b64decode(bundle, validate=True))
    except (ValueError, binascii.Error):
        return bad(PART, f"the CA bundle of {name} holds no PEM certificate", _BRING)
    days = max((each.not_valid_after_utc - now).total_seconds() for each in authorities) / 86_400
    if days <= 0:
        return bad(PART, f"the CA bundle of {name} ended {-days:.0f} days ago", _BRING)
    if days < SOON:
        return warn(PART, f"the CA bundle of {name} ends in {days:.0f} days", _BRING)
    return good(PART, f"the CA bundle of {name} is good for {days:.0f} days")
