"""Who we are to the API server, and whom we believe."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from shared.adapters.kubernetes.access import ApiServer
from shared.adapters.kubernetes.limits import Pace
from shared.domain.errors import ClusterMisconfigured, ClusterUnreachable, InvalidSettings
from shared.runtime.tls import CertificateFiles, ensure_certificate, server_context
from tests.fakes.kubernetes import TOKEN, FakeKubernetes, answers
from tests.functional.kubernetes.conftest import CLOCK, QUICK, Subject, followed, opened, rewrite
from tests.waiting import eventually


@pytest.fixture
def certificate(tmp_path: Path) -> CertificateFiles:
    return ensure_certificate(tmp_path / "tls", names=("127.0.0.1",))


@pytest.fixture
async def secure(certificate: CertificateFiles) -> AsyncIterator[FakeKubernetes]:
    async with FakeKubernetes(ssl_context=server_context(certificate)) as fake:
        yield fake


async def test_a_certificate_of_the_clusters_own_authority_is_believed(
    secure: FakeKubernetes, certificate: CertificateFiles, token: Path
) -> None:
    secure.put("team", {"tier": "prod"})
    async with opened(secure, token, ca=certificate.certificate) as subject:
        subject.namespaces.check()
        await subject.namespaces.ping()
        assert await subject.namespaces.read("team") is not None


async def test_a_certificate_that_nobody_vouches_for_is_not_and_gets_no_token(
    secure: FakeKubernetes, token: Path, tmp_path: Path
) -> None:
    other = ensure_certificate(tmp_path / "other", names=("127.0.0.1",)).certificate
    for ca in (other, None):
        async with opened(secure, token, ca=ca) as subject:
            with pytest.raises(ClusterMisconfigured, match="IMAGEGATE_KUBERNETES_CA"):
                await subject.namespaces.ping()
    assert secure.asked == []


async def test_a_certificate_for_another_host_is_not_believed(token: Path, tmp_path: Path) -> None:
    files = ensure_certificate(tmp_path / "tls", names=("kubernetes.default.svc",))
    async with FakeKubernetes(ssl_context=server_context(files)) as fake:
        async with opened(fake, token, ca=files.certificate) as subject:
            with pytest.raises(ClusterMisconfigured, match="for this very host"):
                await subject.namespaces.ping()
        assert fake.asked == []


async def test_an_authority_that_is_replaced_while_we_run_counts_at_once(
    token: Path, tmp_path: Path
) -> None:
    """As the kubelet replaces ca.crt: by a link to another folder."""
    old = ensure_certificate(tmp_path / "old", names=("127.0.0.1",))
    new = ensure_certificate(tmp_path / "new", names=("127.0.0.1",))
    ca = tmp_path / "ca.crt"
    ca.symlink_to(old.certificate)
    async with (
        FakeKubernetes(ssl_context=server_context(new)) as fake,
        opened(fake, token, ca=ca) as subject,
    ):
        with pytest.raises(ClusterMisconfigured):
            await subject.namespaces.ping()
        fresh = tmp_path / "fresh"
        fresh.symlink_to(new.certificate)
        os.replace(fresh, ca)
        await subject.namespaces.ping()


async def test_a_token_that_is_rotated_is_shown_with_the_next_question(
    cluster: FakeKubernetes, token: Path
) -> None:
    cluster.put("team", {"tier": "test"})
    async with followed(cluster, token) as subject:
        await subject.knows("team", "test")
        rewrite(token, "the-next-token")
        # The one before is good for a while: a question may be on its way with it.
        cluster.tokens = {TOKEN, "the-next-token"}
        await eventually(lambda: "next" in cluster.asked[-1].headers["Authorization"])
        cluster.tokens = {"the-next-token"}
        await eventually(lambda: subject.ends["done"] >= 2)
        cluster.put("team", {"tier": "prod"})
        await subject.knows("team", "prod")
        assert subject.ends["refused"] == 0
    assert cluster.asked[-1].headers["Authorization"] == "Bearer the-next-token"


async def test_a_token_that_ended_is_a_mistake_to_correct_and_heals_by_itself(
    cluster: FakeKubernetes, token: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.tokens = {"another"}
    async with followed(cluster, token) as subject:
        with pytest.raises(ClusterMisconfigured, match="does not take our token"):
            await subject.namespaces.ping()
        await eventually(lambda: subject.ends["refused"] >= 3)
        rewrite(token, "another")
        cluster.put("team", {})
        await subject.knows("team", "-")
    assert caplog.text.count("does not take our token") <= 1
    assert TOKEN not in caplog.text


@pytest.mark.parametrize(
    "content", [b"", b"  \n", b"two words", b"a\r\nX-Other: 1", b"\xff\xfe", b"x" * 70_000]
)
async def test_a_file_that_holds_no_token_is_named_before_anybody_is_asked(
    content: bytes, cluster: FakeKubernetes, token: Path
) -> None:
    rewrite(token, content)
    async with opened(cluster, token) as subject:
        with pytest.raises(InvalidSettings, match=str(token)):
            subject.namespaces.check()
        with pytest.raises(ClusterMisconfigured, match=str(token)):
            await subject.namespaces.ping()
        assert await subject.namespaces.read("team") is None
        assert subject.reads == {"refused": 1}
    assert cluster.asked == []


async def test_files_that_are_not_there_say_how_they_come_there(
    secure: FakeKubernetes, token: Path, tmp_path: Path
) -> None:
    nothing = tmp_path / "nothing"
    for token_file, ca, setting in (
        (nothing, None, "IMAGEGATE_KUBERNETES_TOKEN_FILE"),
        (token, nothing, "IMAGEGATE_KUBERNETES_CA"),
    ):
        async with opened(secure, token_file, ca=ca) as subject:
            with pytest.raises(InvalidSettings, match="automountServiceAccountToken") as caught:
                subject.namespaces.check()
            assert setting in str(caught.value)
            assert str(nothing) in str(caught.value)


async def test_a_ca_file_without_a_certificate_is_named(
    secure: FakeKubernetes, token: Path, tmp_path: Path
) -> None:
    wrong = tmp_path / "ca.crt"
    wrong.write_text("no certificate")
    async with opened(secure, token, ca=wrong) as subject:
        with pytest.raises(InvalidSettings, match="holds no PEM certificate"):
            subject.namespaces.check()


async def test_a_proxy_of_kubectl_needs_no_token(cluster: FakeKubernetes) -> None:
    cluster.tokens = set()
    async with opened(cluster, None) as subject:
        await subject.namespaces.ping()
    assert "Authorization" not in cluster.asked[0].headers


async def test_a_redirect_is_not_followed(cluster: FakeKubernetes, token: Path) -> None:
    """The token goes to the host that was named, and nowhere else."""
    async with FakeKubernetes() as other:
        fault = answers(302)

        async def elsewhere(http: web.Request) -> web.StreamResponse:
            answer = await fault(http)
            answer.headers["Location"] = f"{other.url}/api/v1/namespaces?limit=1"
            return answer

        cluster.faults["list"] = elsewhere
        async with opened(cluster, token) as subject:
            with pytest.raises(ClusterUnreachable, match="answered 302"):
                await subject.namespaces.ping()
        assert other.asked == []


async def test_a_server_that_is_none_of_kubernetes_is_told_by_its_answers(
    cluster: FakeKubernetes, token: Path
) -> None:
    for code, says in ((404, "404"), (406, "IMAGEGATE_KUBERNETES_URL"), (418, "418")):
        cluster.faults["list"] = answers(code)
        async with opened(cluster, token) as subject:
            with pytest.raises(ClusterUnreachable, match=says):
                await subject.namespaces.ping()


async def test_nobody_there_is_said_with_the_host_and_what_to_look_at(
    cluster: FakeKubernetes, token: Path
) -> None:
    await cluster.stop()
    async with opened(cluster, token) as subject:
        with pytest.raises(
            ClusterUnreachable, match=r"127\.0\.0\.1:\d+.*connection refused.*Check that"
        ):
            await subject.namespaces.ping()


async def test_a_host_whose_name_is_unknown_is_unreachable(token: Path) -> None:
    subject = Subject(ApiServer("https://nowhere.invalid:6443", token), QUICK, CLOCK)
    async with subject.namespaces:
        with pytest.raises(ClusterUnreachable, match=r"nowhere\.invalid:6443.*looked up"):
            await subject.namespaces.ping()


async def test_a_hanging_server_ends_a_ping(cluster: FakeKubernetes, token: Path) -> None:
    cluster.slow = 60.0
    async with opened(cluster, token, pace=Pace(answer=0.1)) as subject, asyncio.timeout(5.0):
        with pytest.raises(ClusterUnreachable, match="did not answer in time"):
            await subject.namespaces.ping()
