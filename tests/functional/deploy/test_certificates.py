"""The webhook's certificate as Helm makes it, and its CA."""

import base64

import pytest
from cryptography import x509

from tests.deploy.chart import ANCHORE, Refused, Values, one, render, rendered


def certificate(values: Values, secret: str) -> x509.Certificate:
    held = one(rendered(ANCHORE | values), "Secret", secret)["data"]["tls.crt"]
    return x509.load_pem_x509_certificate(base64.b64decode(held))


def days(shown: x509.Certificate) -> int:
    return (shown.not_valid_after_utc - shown.not_valid_before_utc).days


def test_the_ca_outlives_every_certificate_that_it_will_sign() -> None:
    """Another CA is believed by an API server only once it was told: none comes by itself."""
    told: Values = {"certificates": {"helm": {"days": 90, "renewBeforeDays": 30}}}
    assert days(certificate(told, "imagegate-webhook-ca")) == 36500
    assert days(certificate(told, "imagegate-webhook-tls")) == 90


@pytest.mark.parametrize("own", [{"days": 90}, {"days": 90, "renewBeforeDays": 90}])
def test_a_certificate_that_each_upgrade_would_make_anew_is_refused(own: Values) -> None:
    with pytest.raises(Refused) as raised:
        render(ANCHORE | {"certificates": {"helm": own}})
    assert "certificates.helm.days is 90: each upgrade" in str(raised.value)
    assert "Set renewBeforeDays to less than days" in str(raised.value)
