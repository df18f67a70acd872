"""What the API server is told to ask: the configurations of k8s/base, for a webhook at a URL."""

import base64
from pathlib import Path
from typing import Any

import yaml

BASE = Path(__file__).parents[2] / "k8s" / "base" / "admission.yaml"


def configurations(url: str, *ca_files: Path) -> list[Any]:
    """Both, naming `url` (`https://HOST:PORT`) where those of a cluster name a Service.

    The webhook's certificate must be by one of `ca_files`.
    """
    bundle = base64.b64encode(b"".join(path.read_bytes() for path in ca_files)).decode()
    found = [one for one in yaml.safe_load_all(BASE.read_text()) if one]
    for webhook in (each for one in found for each in one["webhooks"]):
        path = webhook["clientConfig"]["service"]["path"]
        webhook["clientConfig"] = {"url": f"{url}{path}", "caBundle": bundle}
    return found
