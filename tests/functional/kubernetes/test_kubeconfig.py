"""Asking a cluster as a person: contexts, tokens, client certificates, exec plugins."""

import base64
import json
import os
import sys
import textwrap
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.cli.kubernetes.wiring import kubernetes_server
from services.cli.settings import CliSettings
from shared.adapters.kubernetes.access import SERVICE_ACCOUNT
from shared.adapters.kubernetes.cluster import KubernetesCluster
from shared.adapters.kubernetes.exec_plugin import ExecProgram
from shared.adapters.kubernetes.kubeconfig import read_kubeconfig
from shared.adapters.kubernetes.kubeconfig_access import KubeconfigAccess, kubeconfig_server
from shared.domain.errors import ClusterMisconfigured, InvalidSettings
from shared.runtime.settings import environ_of_others
from shared.runtime.tls import server_context
from tests.fakes.certificates import client_certificate, server_certificate
from tests.fakes.kubernetes import TOKEN, FakeKubernetes
from tests.waiting import eventually

BETA = "client.authentication.k8s.io/v1beta1"
V1 = "client.authentication.k8s.io/v1"
PLUGIN_WITHIN = 6.0
"""Seconds; what hangs is given no more."""


@pytest.fixture
async def fake(tmp_path: Path) -> AsyncIterator[FakeKubernetes]:
    """Over TLS, with a namespace; its CA is in tls/ca.crt."""
    _, files = server_certificate(tmp_path / "tls")
    async with FakeKubernetes(ssl_context=server_context(files)) as cluster:
        cluster.put("team-a", {"tier": "prod"})
        yield cluster


class Files:
    """A kubeconfig in a folder."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder = folder
        self.file = folder / "config"
        self.cluster: dict[str, Any] = {"server": url, "certificate-authority": "tls/ca.crt"}
        self.user: dict[str, Any] = {"token": TOKEN}

    def write(self) -> Path:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "here", "cluster": self.cluster}],
            "users": [{"name": "ada", "user": self.user}],
            "contexts": [{"name": "work", "context": {"cluster": "here", "user": "ada"}}],
            "current-context": "work",
        }
        self.file.write_text(yaml.safe_dump(content))
        return self.file

    def plugin(self, body: str, *, version: str = V1, **more: Any) -> Path:
        """An exec plugin: a Python program whose `info` is what it is told."""
        program = self.folder / "plugin"
        program.write_text(
            f"#!{sys.executable}\nimport json, os, sys, time\n"
            'info = json.loads(os.environ["KUBERNETES_EXEC_INFO"])\n' + textwrap.dedent(body)
        )
        program.chmod(0o755)
        self.user = {
            "exec": {
                "apiVersion": version,
                "command": "./plugin",
                "interactiveMode": "IfAvailable",
                **more,
            }
        }
        return program

    def answers(self, status: Mapping[str, Any], *, version: str = V1, **more: Any) -> None:
        """A plugin that answers so, and counts how often in `runs`."""
        answer = {"kind": "ExecCredential", "apiVersion": version, "status": dict(status)}
        self.plugin(
            f"open({str(self.folder / 'runs')!r}, 'a').write('x')\nprint({json.dumps(answer)!r})",
            version=version,
            **more,
        )

    @property
    def runs(self) -> int:
        told = self.folder / "runs"
        return len(told.read_text()) if told.exists() else 0


@pytest.fixture
def files(tmp_path: Path, fake: FakeKubernetes) -> Files:
    return Files(tmp_path, fake.url)


async def labels(files: Files, **environ: str) -> dict[str, Mapping[str, str]]:
    """What the cluster of the current context tells of its namespaces."""
    chosen = read_kubeconfig([files.write()])
    server = kubeconfig_server(chosen, environ={**os.environ, **environ}, terminal=False)
    async with KubernetesCluster(server=server) as cluster:
        return dict(await cluster.namespace_labels())


def shown(fake: FakeKubernetes) -> str:
    return fake.asked[-1].headers["Authorization"]


async def test_a_token_is_shown_and_the_authority_of_a_file_beside_is_believed(
    files: Files, fake: FakeKubernetes
) -> None:
    assert (await labels(files))["team-a"]["tier"] == "prod"
    assert shown(fake) == f"Bearer {TOKEN}"


async def test_an_authority_may_stand_in_the_kubeconfig_itself(files: Files) -> None:
    pem = (files.folder / "tls" / "ca.crt").read_bytes()
    files.cluster["certificate-authority-data"] = base64.b64encode(pem).decode()
    files.cluster["certificate-authority"] = "not/there.crt"
    assert "team-a" in await labels(files)


async def test_a_server_of_another_authority_gets_no_token(
    files: Files, fake: FakeKubernetes, tmp_path: Path
) -> None:
    server_certificate(tmp_path / "other")
    files.cluster["certificate-authority"] = "other/ca.crt"
    with pytest.raises(ClusterMisconfigured, match=r"the context 'work' of .* must have"):
        await labels(files)
    assert fake.asked == []


async def test_a_server_is_called_as_its_tls_server_name_says(files: Files) -> None:
    files.cluster["tls-server-name"] = "kubernetes.default"
    with pytest.raises(ClusterMisconfigured, match="not trusted"):
        await labels(files)


async def test_a_token_file_is_read_at_each_call(files: Files, fake: FakeKubernetes) -> None:
    (files.folder / "token").write_text(TOKEN)
    files.user = {"tokenFile": "token"}
    assert "team-a" in await labels(files)
    fake.tokens = {"the-next"}
    (files.folder / "token").write_text("the-next\n")
    assert "team-a" in await labels(files)


async def test_a_token_that_is_not_taken_is_told_with_what_to_do(
    files: Files, fake: FakeKubernetes
) -> None:
    fake.tokens = {"another"}
    with pytest.raises(ClusterMisconfigured, match="kubectl --context work get pods"):
        await labels(files)


@pytest.mark.parametrize("inline", [False, True])
async def test_a_client_certificate_is_shown(tmp_path: Path, *, inline: bool) -> None:
    ca, client = client_certificate(tmp_path / "clients")
    _, server = server_certificate(tmp_path / "tls")
    async with FakeKubernetes(ssl_context=server_context(server, client_ca=ca)) as fake:
        fake.tokens = set()
        fake.put("team-a", {})
        files = Files(tmp_path, fake.url)
        parts = {"client-certificate": client.certificate, "client-key": client.key}
        files.user = _inline(parts) if inline else {name: str(at) for name, at in parts.items()}
        assert "team-a" in await labels(files)


def _inline(parts: Mapping[str, Path]) -> dict[str, str]:
    return {
        f"{name}-data": base64.b64encode(file.read_bytes()).decode() for name, file in parts.items()
    }


async def test_a_plugin_gives_a_token_once(files: Files, fake: FakeKubernetes) -> None:
    files.answers({"token": TOKEN})
    chosen = read_kubeconfig([files.write()])
    server = kubeconfig_server(chosen, environ=os.environ, terminal=False)
    async with KubernetesCluster(server=server) as cluster:
        await cluster.namespace_labels()
        await cluster.namespace_labels()
    assert (files.runs, shown(fake)) == (1, f"Bearer {TOKEN}")


async def test_who_has_a_token_in_a_file_runs_no_plugin(files: Files, fake: FakeKubernetes) -> None:
    """As kubectl."""
    files.answers({"token": "of-the-plugin"})
    (files.folder / "token").write_text(TOKEN)
    files.user |= {"tokenFile": "token"}
    assert "team-a" in await labels(files)
    assert (files.runs, shown(fake)) == (0, f"Bearer {TOKEN}")


async def test_a_plugin_gives_a_client_certificate(tmp_path: Path) -> None:
    ca, client = client_certificate(tmp_path / "clients")
    _, server = server_certificate(tmp_path / "tls")
    async with FakeKubernetes(ssl_context=server_context(server, client_ca=ca)) as fake:
        fake.tokens = set()
        fake.put("team-a", {})
        files = Files(tmp_path, fake.url)
        files.answers(
            {
                "clientCertificateData": client.certificate.read_text(),
                "clientKeyData": client.key.read_text(),
            },
            version=BETA,
        )
        assert "team-a" in await labels(files)


async def test_a_plugin_is_run_again_before_what_it_gave_ends(files: Files) -> None:
    ends = datetime.now(UTC) + timedelta(minutes=10)
    files.answers({"token": TOKEN, "expirationTimestamp": ends.strftime("%Y-%m-%dT%H:%M:%SZ")})
    now = [datetime.now(UTC)]
    chosen = read_kubeconfig([files.write()])
    server = kubeconfig_server(chosen, environ=os.environ, terminal=False)
    access = KubeconfigAccess(server, now=lambda: now[0])
    for minutes in (0, 5, 9.5):
        now[0] = ends - timedelta(minutes=10 - minutes)
        await access.ready()
    assert files.runs == 2


async def test_a_client_certificate_that_a_plugin_renews_is_the_one_that_is_shown(
    files: Files, tmp_path: Path
) -> None:
    _, client = client_certificate(tmp_path / "clients")
    files.answers(
        {
            "clientCertificateData": client.certificate.read_text(),
            "clientKeyData": client.key.read_text(),
            "expirationTimestamp": "2020-01-01T00:00:00Z",
        }
    )
    chosen = read_kubeconfig([files.write()])
    access = KubeconfigAccess(kubeconfig_server(chosen, environ=os.environ, terminal=False))
    await access.ready()
    first = access.trusted()
    assert access.trusted() is first
    await access.ready()
    assert access.trusted() is not first


async def test_a_plugin_is_told_of_the_cluster_and_given_its_variables(files: Files) -> None:
    told = files.folder / "told"
    files.plugin(
        f"""
        told = {{"info": info, "argv": sys.argv[1:], "own": os.environ["OWN"]}}
        told["tty"] = sys.stdin.isatty()
        open({str(told)!r}, "w").write(json.dumps(told))
        print(json.dumps({{"kind": "ExecCredential", "apiVersion": {V1!r},
            "status": {{"token": {TOKEN!r}}}}}))
        """,
        args=["get token", "--for=$HOME"],
        env=[{"name": "OWN", "value": "mine"}],
        provideClusterInfo=True,
    )
    await labels(files)
    found = json.loads(told.read_text())
    assert found["argv"] == ["get token", "--for=$HOME"]
    assert (found["own"], found["tty"]) == ("mine", False)
    cluster = found["info"]["spec"].pop("cluster")
    assert found["info"] == {
        "kind": "ExecCredential",
        "apiVersion": V1,
        "spec": {"interactive": False},
    }
    assert cluster["server"] == files.cluster["server"]
    pem = base64.b64decode(cluster["certificate-authority-data"])
    assert pem == (files.folder / "tls" / "ca.crt").read_bytes()


async def test_a_plugin_is_not_told_our_own_passwords(files: Files) -> None:
    files.plugin(
        f"""
        assert "REDIS_URL" not in os.environ and "ANCHORE_PASSWORD" not in os.environ
        print(json.dumps({{"kind": "ExecCredential", "apiVersion": {V1!r},
            "status": {{"token": {TOKEN!r}}}}}))
        """
    )
    os_environ = {"REDIS_URL": "redis://x", "ANCHORE_PASSWORD": "y", "PATH": os.environ["PATH"]}
    server = kubernetes_server(
        CliSettings(), kubeconfig=files.write(), environ=environ_of_others(os_environ)
    )
    async with KubernetesCluster(server=server) as cluster:
        assert "team-a" in await cluster.namespace_labels()


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("sys.exit(3)", "failed with exit code 3"),
        ("os.kill(os.getpid(), 9)", "was killed by signal 9"),
        ("print('hello')", "no ExecCredential"),
        ("print('[' * 2000000)", "wrote more than"),
        ('print(\'{"kind": "Pod", "apiVersion": "v1"}\')', "answered a 'Pod' of 'v1'"),
        (
            "print(json.dumps({'kind': 'ExecCredential', 'apiVersion': info['apiVersion']}))",
            "neither a token nor",
        ),
        (
            "print(json.dumps({'kind': 'ExecCredential', 'apiVersion': info['apiVersion'],"
            "'status': {'clientCertificateData': 'x'}}))",
            "half of a client certificate",
        ),
        (
            "print(json.dumps({'kind': 'ExecCredential', 'apiVersion': info['apiVersion'] + 'x',"
            "'status': {'token': 'x'}}))",
            "and is to speak client.authentication.k8s.io/v1;",
        ),
        (
            "print(json.dumps({'kind': 'ExecCredential', 'apiVersion': info['apiVersion'],"
            "'status': {'token': 'x\\r\\nHost: y'}}))",
            "a token that can be no header",
        ),
    ],
)
async def test_a_plugin_that_gives_nothing_is_told_by_name(
    files: Files, body: str, says: str
) -> None:
    files.plugin(body)
    with pytest.raises(ClusterMisconfigured, match=says) as raised:
        await labels(files)
    assert "./plugin" in str(raised.value)


async def test_a_plugin_that_hangs_is_ended_with_all_that_it_started(files: Files) -> None:
    pid = files.folder / "pid"
    files.plugin(
        f"""
        if os.fork() == 0:
            open({str(pid)!r}, "w").write(str(os.getpid()))
        time.sleep(600)
        """
    )
    chosen = read_kubeconfig([files.write()])
    assert chosen.plugin is not None
    program = ExecProgram(
        chosen, chosen.plugin, environ=os.environ, terminal=False, within=PLUGIN_WITHIN
    )
    with pytest.raises(ClusterMisconfigured, match="did not end in 6 s"):
        await program.run()
    await eventually(lambda: not _alive(int(pid.read_text())))


def _alive(pid: int) -> bool:
    """Also a zombie is dead: nobody need have waited for it yet."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"apiVersion": "client.authentication.k8s.io/v1alpha1"}, "v1alpha1.*known are"),
        ({"interactiveMode": "Always"}, "use a terminal"),
        ({"interactiveMode": "Sometimes"}, "must be Never, IfAvailable or Always"),
        ({"command": "no-such-login", "installHint": "see wiki/login"}, "is not there.*wiki/login"),
    ],
)
def test_a_plugin_that_cannot_be_run_is_refused_at_once(
    files: Files, more: dict[str, str], says: str
) -> None:
    files.answers({"token": TOKEN})
    files.user["exec"] |= more
    with pytest.raises(InvalidSettings, match=says):
        kubernetes_server(CliSettings(), kubeconfig=files.write())


@pytest.mark.parametrize(
    ("user", "says"),
    [
        ({"username": "ada", "password": "x"}, "user name and a password"),
        ({"auth-provider": {"name": "gcp"}}, "auth-provider"),
        ({"token": "x", "as": "system:admin"}, "as: who asks"),
        ({"token": "x", "as-groups": ["system:masters"]}, "as-groups"),
        ({"client-certificate-data": "eA=="}, "no client-key"),
        ({"client-certificate-data": "!", "client-key-data": "!"}, "no base64"),
        ({"token": "two words"}, "holds no usable token"),
    ],
)
def test_what_is_not_understood_of_a_user_is_refused_by_name(
    files: Files, user: dict[str, Any], says: str
) -> None:
    files.user = user
    with pytest.raises(InvalidSettings, match=says):
        kubernetes_server(CliSettings(), kubeconfig=files.write())


@pytest.mark.parametrize(
    ("cluster", "says"),
    [
        ({"insecure-skip-tls-verify": True}, "insecure-skip-tls-verify"),
        ({"server": "http://api.corp:6443"}, "plain HTTP"),
        ({"server": ""}, "has no server"),
        ({"server": "https://ada:x@api.corp"}, "a host, a port and at most a path"),
        ({"proxy-url": "socks5://proxy:1080"}, "proxy-url"),
        (
            {"certificate-authority": "not/there"},
            "certificate-authority .* cannot be used: no such",
        ),
    ],
)
def test_what_is_not_safe_of_a_cluster_is_refused_by_name(
    files: Files, cluster: dict[str, Any], says: str
) -> None:
    files.cluster |= cluster
    with pytest.raises(InvalidSettings, match=says):
        kubernetes_server(CliSettings(), kubeconfig=files.write())


def test_of_several_files_the_first_to_say_a_thing_is_right(files: Files, tmp_path: Path) -> None:
    files.write()
    other = tmp_path / "more" / "config"
    other.parent.mkdir()
    other.write_text(
        yaml.safe_dump(
            {
                "clusters": [
                    {"name": "here", "cluster": {"server": "https://wrong"}},
                    {"name": "there", "cluster": {"server": "https://api.there:6443"}},
                ],
                "users": None,
                "contexts": [{"name": "far", "context": {"cluster": "there", "user": "ada"}}],
                "current-context": "far",
            }
        )
    )
    paths = f"{tmp_path}/nothing{os.pathsep}{files.file}{os.pathsep}{other}"
    settings = CliSettings(kubeconfig=paths)
    assert kubernetes_server(settings).url == files.cluster["server"]
    assert kubernetes_server(settings, context="far").url == "https://api.there:6443"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no current-context"),
        ("[1, 2]", "cannot be read"),
        ("a: [", "cannot be read: line"),
        ("current-context: gone", "no context 'gone'; known are none"),
        (
            "current-context: c\ncontexts: [{name: c, context: {cluster: x, user: u}}]",
            "the cluster 'x', which stands nowhere",
        ),
        (
            "current-context: c\nclusters: [{name: x, cluster: {server: 'https://a'}}]\n"
            "contexts: [{name: c, context: {cluster: x, user: u}}]",
            "the user 'u', who stands nowhere",
        ),
    ],
)
def test_a_kubeconfig_that_is_none_is_told_by_its_place(
    tmp_path: Path, text: str, says: str
) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(InvalidSettings, match=says) as raised:
        kubernetes_server(CliSettings(), kubeconfig=file)
    assert str(file) in str(raised.value)


def test_a_key_in_a_broken_kubeconfig_is_not_shown(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text('users:\n- user:\n    token: "sec-ret\n')
    with pytest.raises(InvalidSettings) as raised:
        kubernetes_server(CliSettings(), kubeconfig=file)
    assert "sec-ret" not in str(raised.value)


def test_without_a_kubeconfig_it_is_the_cluster_of_the_own_pod(tmp_path: Path) -> None:
    settings = CliSettings(home=tmp_path, kubernetes_service_host="10.0.0.1")
    # Nothing is mounted here: what is missed tells where it was looked for.
    with pytest.raises(InvalidSettings, match=f"the token {SERVICE_ACCOUNT}/token .* mounted"):
        kubernetes_server(settings)


def test_without_anything_it_is_said_what_to_name(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match=r"no cluster to ask.*--kubeconfig or KUBECONFIG"):
        kubernetes_server(CliSettings(home=tmp_path))


def test_a_named_kubeconfig_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="there is no kubeconfig"):
        kubernetes_server(CliSettings(), kubeconfig=tmp_path / "gone")
