"""What the API server is told to ask: the chart's configurations, for a webhook at a URL."""

from pathlib import Path

from tests.deploy.chart import SCANNER, Object, rendered

KINDS = ("ValidatingWebhookConfiguration", "MutatingWebhookConfiguration")


def configurations(url: str, *ca_files: Path) -> list[Object]:
    """Both, as they are without a Job that applies them, naming `url` (`https://HOST:PORT`).

    The webhook's certificate must be by one of `ca_files`.
    """
    bundle = "".join(path.read_text() for path in ca_files)
    values = SCANNER | {
        "enforcement": "enforce",
        "webhooks": {"apply": "direct", "url": url},
        "certificates": {"caBundle": bundle},
    }
    return [one for one in rendered(values) if one["kind"] in KINDS]
