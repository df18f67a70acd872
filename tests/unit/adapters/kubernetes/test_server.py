"""Which API server the settings mean."""

from pathlib import Path

import pytest

from shared.adapters.kubernetes.access import SERVICE_ACCOUNT, ApiServer, api_server
from shared.domain.errors import InvalidSettings

TOKEN, CA = Path("token"), Path("ca.crt")


def test_outside_of_a_cluster_and_without_settings_there_is_none() -> None:
    assert api_server() is None


def test_in_a_pod_it_is_the_clusters_own() -> None:
    assert api_server(pod_host="10.96.0.1", pod_port=443) == ApiServer(
        "https://10.96.0.1:443", SERVICE_ACCOUNT / "token", SERVICE_ACCOUNT / "ca.crt"
    )


def test_an_address_of_ipv6_gets_its_brackets() -> None:
    server = api_server(pod_host="fd00::1", pod_port=6443)
    assert server is not None
    assert server.url == "https://[fd00::1]:6443"
    assert server.host == "[fd00::1]:6443"


def test_the_one_that_is_named_counts_also_in_a_pod() -> None:
    named = api_server(
        url="https://api.corp:6443/", token_file=TOKEN, ca_file=CA, pod_host="10.96.0.1"
    )
    assert named == ApiServer("https://api.corp:6443", TOKEN, CA)


def test_files_that_are_named_count_also_in_a_pod() -> None:
    assert api_server(token_file=TOKEN, ca_file=CA, pod_host="10.96.0.1") == ApiServer(
        "https://10.96.0.1:443", TOKEN, CA
    )


def test_a_path_of_a_proxy_before_it_is_kept() -> None:
    server = api_server(url="https://rancher.corp/k8s/clusters/c-1/")
    assert server is not None
    assert server.url == "https://rancher.corp/k8s/clusters/c-1"
    assert server.host == "rancher.corp"


def test_a_proxy_of_kubectl_on_this_machine_may_speak_plain_http() -> None:
    for url in ("http://127.0.0.1:8001", "http://localhost:8001", "http://[::1]:8001"):
        assert api_server(url=url) == ApiServer(url)


@pytest.mark.parametrize(
    "url",
    [
        "api.corp:6443",
        "ftp://api.corp",
        "https://",
        "https://:6443",
        "https://api.corp:port",
        "https://api.corp:99999",
        "https://[fd00::1",
        "https://api.corp?a=b",
        "https://api.corp#a",
        "https://user:secret@api.corp",
        "https://äpi.corp",
        "http://api.corp:8080",
        "http://10.0.0.1:8080",
    ],
)
def test_what_is_no_address_or_not_safe_is_refused_by_the_settings_name(url: str) -> None:
    with pytest.raises(InvalidSettings, match="IMAGEGATE_KUBERNETES_URL") as caught:
        api_server(url=url)
    assert "secret" not in str(caught.value)


def test_no_token_goes_over_plain_http() -> None:
    with pytest.raises(InvalidSettings, match="plain HTTP"):
        api_server(url="http://127.0.0.1:8001", token_file=TOKEN)


@pytest.mark.parametrize("setting", ["token_file", "ca_file"])
def test_a_file_without_a_server_is_a_mistake(setting: str) -> None:
    with pytest.raises(InvalidSettings, match="IMAGEGATE_KUBERNETES_URL is not"):
        api_server(
            token_file=TOKEN if setting == "token_file" else None,
            ca_file=TOKEN if setting == "ca_file" else None,
        )
