"""The cluster that a person means, as kubectl would find it."""

import os
from collections.abc import Mapping
from pathlib import Path

from services.cli.settings import CliSettings
from shared.adapters.kubernetes.access import Server, api_server
from shared.adapters.kubernetes.kubeconfig import read_kubeconfig
from shared.adapters.kubernetes.kubeconfig_access import kubeconfig_server
from shared.domain.errors import InvalidSettings
from shared.runtime.settings import environ_of_others

NOBODY = (
    "there is no cluster to ask (no {}): name a kubeconfig with --kubeconfig or KUBECONFIG, "
    "or run this in a pod with a service account"
)


def kubernetes_server(
    settings: CliSettings,
    *,
    kubeconfig: Path | None = None,
    context: str = "",
    environ: Mapping[str, str] | None = None,
) -> Server:
    """The API server of a context, else that of the cluster this runs in: `Wire(server=...)` asks
    it. Nobody is asked yet, and no plugin runs.

    In this order: `kubeconfig`, the files of KUBECONFIG, ~/.kube/config, the pod's service account.
    `environ`: what an exec plugin is started with; None: this process's own, without what is ours.
    Raises InvalidSettings.
    """
    files = _files(settings, kubeconfig)
    named = kubeconfig is not None or bool(settings.kubeconfig)
    if named or context or any(file.exists() for file in files):
        chosen = read_kubeconfig(files, context=context, must=kubeconfig is not None)
        inherited = environ_of_others() if environ is None else environ
        return kubeconfig_server(chosen, environ=inherited)
    server = api_server(
        pod_host=settings.kubernetes_service_host, pod_port=settings.kubernetes_service_port
    )
    if server is None:
        raise InvalidSettings(NOBODY.format(", ".join(map(str, files)) or "HOME"))
    server.access().check()
    return server


def _files(settings: CliSettings, kubeconfig: Path | None) -> list[Path]:
    if kubeconfig is not None:
        return [kubeconfig]
    if settings.kubeconfig:
        return [Path(each) for each in settings.kubeconfig.split(os.pathsep) if each]
    return [settings.home / ".kube" / "config"] if settings.home else []
