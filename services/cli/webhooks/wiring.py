"""Adapters of `imagegate webhooks`."""

from pathlib import Path

from services.cli.kubernetes.wiring import kubernetes_server
from services.cli.settings import CliSettings
from shared.adapters.kubernetes.webhook_configurations import KubernetesWebhookConfigurations


def webhook_configurations(
    settings: CliSettings, *, kubeconfig: Path | None, context: str
) -> KubernetesWebhookConfigurations:
    """Those of the cluster that a person means: an async context manager.

    Raises InvalidSettings.
    """
    server = kubernetes_server(settings, kubeconfig=kubeconfig, context=context)
    return KubernetesWebhookConfigurations(server=server)
