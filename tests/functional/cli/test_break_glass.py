"""`imagegate allow` and `imagegate exceptions`, as processes of their own beside a store."""

import json
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from services.cli.break_glass.operator import Wanted
from services.cli.break_glass.wiring import operator_of
from services.cli.local.wiring import make_keys
from services.cli.settings import CliSettings
from shared.adapters.signatures import KeyRing, load_ring, load_sealer
from shared.domain.errors import ErrorKind, StoreUnreachable
from shared.domain.exceptions import ImageException, exception_key
from shared.domain.pointer import DAY, MINUTE, Pointer, pointer_key
from shared.domain.reference import parse_reference
from shared.domain.signed_exceptions import agreed
from shared.domain.signing import Kind, Role, claimed_key
from shared.ports.exceptions import MAX_EXCEPTIONS
from shared.ports.presence import Beat
from shared.ports.verdicts import Put
from tests.contract.stores import sealed as sealed_junk
from tests.fakes.exceptions import seal
from tests.fakes.sealing import PlainSealer
from tests.functional.cli.beside import Beside, beside
from tests.functional.cli.commands import Ran, imagegate

DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"
IMAGE = f"registry.test/team/app@{DIGEST}"
HOUR = 60 * MINUTE
WELL = ("-n", "team", "--for", "2h", "--reason", "no fix yet", "--owner", "ada")


class Site:
    """A running imagegate's store, its keys, and the commands beside it."""

    def __init__(self, state: Path, served: Beside, ring: KeyRing) -> None:
        self.state = state
        self.served = served
        self.ring = ring

    async def run(self, *arguments: str, **environ: str) -> Ran:
        return await imagegate(*arguments, state=self.state, **environ)

    async def stored(self) -> dict[str, ImageException]:
        """What the store has, verified."""
        found = await self.served.exceptions.all()
        return {name: self.opened(record) for name, record in found.items()}

    def opened(self, record: bytes) -> ImageException:
        key = claimed_key(record)
        return agreed(*self.ring.unseal(record, ImageException, kind=Kind.EXCEPTION, key=key))

    def of_file(self, path: Path) -> ImageException:
        return self.opened(path.read_bytes().removesuffix(b"\n"))

    async def point(
        self, image: str, *, ago: int = 3 * MINUTE, sealer: Any = None, **changes: Any
    ) -> None:
        """A worker was told which digest the tag names."""
        now = self.served.clock.now()
        reference = parse_reference(image)
        pointer = Pointer(reference.tagged, now - ago, digest=OTHER)
        pointer = msgspec.structs.replace(pointer, **changes)
        key, ends = pointer_key(reference), pointer.ends_at
        sealer = sealer or load_sealer(self.state / "keys")
        record = sealer.seal(pointer, kind=Kind.POINTER, key=key, order=pointer.asked_at, ends=ends)
        await self.served.store.put(record, key=key, ends=now + HOUR)


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    for role in Role:
        make_keys(tmp_path / "keys", role=role)
    ring = load_ring(tmp_path / "keys")
    async with beside(tmp_path, unsealer=ring) as served:
        yield Site(tmp_path, served, ring)


def is_one_line(ran: Ran) -> bool:
    return (ran.code, ran.out, ran.err.count("\n")) == (2, "", 1)


async def test_an_image_is_allowed_by_its_digest_and_everything_is_told(site: Site) -> None:
    ran = await site.run("allow", f"team/app:1@{DIGEST}", *WELL, "-n", "ops-*")
    assert (ran.code, ran.err) == (0, "")
    ((name, exception),) = (await site.stored()).items()
    assert exception.image == f"docker.io/team/app@{DIGEST}"
    assert exception.whole
    assert exception.namespaces == ("team", "ops-*")
    assert (exception.reason, exception.owner, exception.id) == ("no fix yet", "ada", name)
    assert exception.expires - exception.made_at == 2 * HOUR
    assert abs(exception.made_at - site.served.clock.now()) < MINUTE
    for words in (
        f"allowed: docker.io/team/app@{DIGEST} (all findings)",
        "namespaces team, ops-*",
        "Z, in 2 h",
        "no fix yet",
        f"exceptions revoke {name}",
    ):
        assert words in ran.out


async def test_named_findings_of_a_repository_need_no_digest(site: Site) -> None:
    ran = await site.run(
        *("allow", "registry.test/team/app", *WELL),
        *("--finding", "CVE-2026-0001+openssl", "--finding", "CVE-2026-0002+zlib"),
    )
    assert ran.code == 0
    (exception,) = (await site.stored()).values()
    assert exception.image == "registry.test/team/app"
    assert exception.findings == ("CVE-2026-0001+openssl", "CVE-2026-0002+zlib")
    assert "every image of registry.test/team/app (CVE-2026-0001+openssl, CVE" in ran.out


@pytest.mark.parametrize("more", [(), ("--all-findings",), ("--finding", "CVE-2026-0001+a")])
async def test_a_tag_stands_for_the_digest_that_a_worker_was_told(
    site: Site, more: tuple[str, ...]
) -> None:
    await site.point("registry.test/team/app:1")
    ran = await site.run("allow", "registry.test/team/app:1", *WELL, *more)
    assert ran.code == 0
    (exception,) = (await site.stored()).values()
    assert exception.image == f"registry.test/team/app@{OTHER}"
    told = f"registry.test/team/app:1 named {OTHER} 3 min ago: that image is meant"
    assert ran.out.startswith(told)


async def test_without_a_tag_it_is_latest_as_in_a_pod(site: Site) -> None:
    await site.point("registry.test/team/app:latest")
    ran = await site.run("allow", "registry.test/team/app", *WELL)
    assert (ran.code, "app:latest named" in ran.out) == (0, True)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"ago": 0, "digest": None, "error": ErrorKind.NOT_FOUND, "message": "404"}, "(404)"),
        ({"ago": 8 * DAY}, "too old"),
        ({"sealer": PlainSealer()}, "is not believed"),
        (None, "no worker has asked"),
    ],
)
async def test_a_tag_whose_digest_is_not_known_is_refused_with_how_to_get_it(
    site: Site, changes: dict[str, Any] | None, why: str
) -> None:
    if changes is not None:
        await site.point("registry.test/team/app:1", **changes)
    ran = await site.run("allow", "registry.test/team/app:1", *WELL)
    assert is_one_line(ran)
    for words in (why, "imagegate decisions", "skopeo inspect", "@sha256:..."):
        assert words in ran.err
    assert "imagegate explain" not in ran.err  # it knows no more than this
    assert await site.stored() == {}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("allow", "UPPER/case@x", *WELL), "error: the digest must be sha256:"),
        (("allow", IMAGE, "-n", "Team", *WELL[2:]), "--namespace: 'Team' can match no namespace"),
        (("allow", IMAGE, *WELL, "--for", "31d"), "--for: must be 1m to 30d, not 31d"),
        (("allow", IMAGE, *WELL, "--reason", " "), "--reason: must be 1 to 512 printable"),
        (("allow", IMAGE, *WELL, "--owner", "a\nb"), "--owner: must be 1 to 512 printable"),
        (("allow", IMAGE, *WELL, "--cluster", "Prod"), "--cluster: must be at most 63 of a-z"),
        (("allow", IMAGE, *WELL, "--finding", "CVE-2026-*"), "--finding: 'CVE-2026-*'"),
        (("allow", IMAGE, *WELL, "--finding", "a", "--all-findings"), "say one of them"),
        (("exceptions", "revoke", "a1b2"), "the store holds no exception a1b2"),
        (("exceptions", "revoke", "a1b2", "--from", "gone"), "cannot read gone: no such file"),
    ],
)
async def test_a_mistake_is_one_line_that_names_it(
    site: Site, arguments: tuple[str, ...], said: str
) -> None:
    ran = await site.run(*arguments)
    assert is_one_line(ran), ran
    assert said in ran.err
    assert await site.stored() == {}


@pytest.mark.parametrize(
    ("arguments", "environ", "cluster"),
    [
        ((), {}, ""),
        (("--cluster", "staging"), {}, "staging"),
        ((), {"IMAGEGATE_CLUSTER": "staging"}, "staging"),
        (("--cluster", "production"), {"IMAGEGATE_CLUSTER": "staging"}, "production"),
    ],
)
async def test_it_is_for_the_cluster_that_is_named_else_for_that_of_here(
    site: Site, arguments: tuple[str, ...], environ: dict[str, str], cluster: str
) -> None:
    ran = await site.run("allow", IMAGE, *WELL, *arguments, **environ)
    assert (ran.code, ran.err) == (0, "")
    ((name, exception),) = (await site.stored()).items()
    assert exception.cluster == cluster
    assert f"cluster: {cluster or 'every one that knows the key'}\n" in ran.out
    of = f" of cluster {cluster}" if cluster else ""
    assert f"It counts in every webhook{of} within a second" in ran.out
    unheard = f"No webhook of cluster {cluster} was heard lately: it counts nowhere unless"
    assert (unheard in ran.out) is bool(cluster)
    (row,) = json.loads((await site.run("exceptions", "list", "-o", "json")).out)
    assert row["cluster"] == cluster
    listed = (await site.run("exceptions", "list", COLUMNS="180")).out
    assert ("cluster" in listed, cluster in listed) == (bool(cluster), True)
    ran = await site.run("exceptions", "revoke", name)
    assert ran.code == 0
    assert (await site.stored())[name].cluster == cluster


async def test_a_cluster_of_here_that_none_can_be_called_is_one_line(site: Site) -> None:
    ran = await site.run("allow", IMAGE, *WELL, IMAGEGATE_CLUSTER="Prod")
    assert is_one_line(ran)
    assert "IMAGEGATE_CLUSTER must be a text of at most 63 of a-z" in ran.err
    assert await site.stored() == {}


async def test_where_webhooks_of_other_clusters_were_heard_these_are_named(site: Site) -> None:
    beat = Beat("webhook@h:1:x", "webhook", "0.1.0", 7, cluster="production")
    await site.served.presence.beat(beat)
    ran = await site.run("allow", IMAGE, *WELL, "--cluster", "produktion")
    assert ran.code == 0
    assert "No webhook of cluster produktion was heard lately; webhooks were heard" in ran.out
    assert "of cluster production: it counts nowhere unless" in ran.out
    ran = await site.run("allow", IMAGE, *WELL, "--cluster", "production")
    assert (ran.code, "was heard lately" in ran.out) == (0, False)


@pytest.mark.parametrize("left_out", ["-n", "--for", "--reason"])
async def test_nothing_is_allowed_without_where_how_long_and_why(site: Site, left_out: str) -> None:
    place = WELL.index(left_out)
    ran = await site.run("allow", IMAGE, *WELL[:place], *WELL[place + 2 :])
    assert ran.code == 2
    assert "Missing option" in ran.err
    assert await site.stored() == {}


async def test_who_answers_for_it_is_by_default_who_typed_it(site: Site) -> None:
    ran = await site.run("allow", IMAGE, *WELL[:-2], LOGNAME="grace")
    assert ran.code == 0
    (exception,) = (await site.stored()).values()
    assert exception.owner == "grace"


async def test_what_no_webhook_would_read_whole_is_not_signed(site: Site) -> None:
    findings = [word for number in range(150) for word in ("--finding", f"{number:-<60}")]
    ran = await site.run("allow", IMAGE, *WELL, *findings)
    assert is_one_line(ran)
    assert "name fewer findings" in ran.err


async def test_a_list_says_what_is_allowed_where_by_whom_and_for_how_long(site: Site) -> None:
    await site.run("allow", IMAGE, *WELL)
    await site.run("allow", "registry.test/team/b", *WELL[:3], "1d", *WELL[4:], "--finding", "x")
    gone = next(iter(await site.stored()))
    await site.run("exceptions", "revoke", gone, "--reason", "fixed")
    await site.served.exceptions.put(
        sealed_junk(site.served.clock.now()), exception_id="forged", ends=10**14
    )
    ran = await site.run("exceptions", "list", COLUMNS="180")
    assert ran.code == 0
    (line,) = [line for line in ran.out.splitlines() if "registry.test/team/b" in line]
    for words in ("active", "x", "team", "24 h", "ada", "no fix yet"):
        assert words in line
    (line,) = [line for line in ran.out.splitlines() if gone in line]
    for words in ("revoked", "sha256:aaaaaaaaaaaa", "all", "fixed"):
        assert words in line
    assert "1 not believed: not signed by an operator's key" in ran.out
    ran = await site.run("exceptions", "list", "-o", "json")
    rows = json.loads(ran.out)
    assert [row["state"] for row in rows] == ["active", "revoked", "not believed"]
    assert rows[1]["image"] == IMAGE
    sealer = load_sealer(site.state / "keys", role=Role.OPERATOR)
    assert rows[0]["key_id"] == sealer.key_id


async def test_where_nothing_is_excepted_the_list_says_so(site: Site) -> None:
    ran = await site.run("exceptions", "list")
    assert (ran.code, "no signed exceptions" in ran.out) == (0, True)


async def test_one_is_revoked_by_the_beginning_of_its_id(site: Site) -> None:
    await site.run("allow", IMAGE, *WELL)
    ((name, before),) = (await site.stored()).items()
    ran = await site.run("exceptions", "revoke", name[:5], "--reason", "fixed upstream")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out.startswith(f"revoked: {name}, {IMAGE}")
    ((_, after),) = (await site.stored()).items()
    assert after.revoked
    assert after.made_at > before.made_at
    assert (after.expires, after.reason) == (before.expires, "fixed upstream")
    ran = await site.run("exceptions", "revoke", name)
    assert is_one_line(ran)
    assert "was revoked already: fixed upstream" in ran.err


async def test_a_beginning_that_several_have_names_none_of_them(site: Site) -> None:
    now = site.served.clock.now()
    for name in ("a1b2", "a1b3"):
        await site.served.exceptions.put(sealed_junk(now), exception_id=name, ends=now + HOUR)
    ran = await site.run("exceptions", "revoke", "a1")
    assert is_one_line(ran)
    assert "a1 begins several exceptions (a1b2, a1b3)" in ran.err
    ran = await site.run("exceptions", "revoke", "a1b2")
    assert is_one_line(ran)
    assert "exception a1b2 is not believed" in ran.err


async def test_one_that_has_ended_needs_no_revocation(site: Site, tmp_path: Path) -> None:
    operator = load_sealer(site.state / "keys", role=Role.OPERATOR)
    now = site.served.clock.now()
    ended = ImageException(IMAGE, ("all",), ("*",), "r", "o", now - 1, "a1b2", now - HOUR)
    path = tmp_path / "a.exception"
    path.write_bytes(seal(ended, sealer=operator))
    ran = await site.run("exceptions", "revoke", "a1b2", "--from", str(path))
    assert is_one_line(ran)
    assert "a1b2 has ended already" in ran.err


async def test_with_out_the_exception_goes_to_a_file_and_nowhere_else(
    site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "app.exception"
    ran = await site.run("allow", IMAGE, *WELL, "--out", str(path))
    assert (ran.code, ran.err) == (0, "")
    exception = site.of_file(path)
    assert (exception.image, exception.whole) == (IMAGE, True)
    assert await site.stored() == {}
    assert path.stat().st_mode & 0o777 == 0o644
    assert [name for name in os.listdir(tmp_path) if "app" in name] == ["app.exception"]
    for words in ("IMAGEGATE_EXCEPTIONS", f"--from-file={path}", "--server-side"):
        assert words in ran.out
    assert f"revoke {exception.id} --from {path} --out {exception.id}-revoked.exception" in ran.out


async def test_a_file_in_the_way_and_one_that_no_webhook_reads_are_refused(
    site: Site, tmp_path: Path
) -> None:
    path = tmp_path / "app.exception"
    path.write_text("precious")
    ran = await site.run("allow", IMAGE, *WELL, "--out", str(path))
    assert is_one_line(ran)
    assert (path.read_text(), "not overwritten" in ran.err) == ("precious", True)
    ran = await site.run("allow", IMAGE, *WELL, "--out", str(tmp_path / "app.json"))
    assert is_one_line(ran)
    assert f"--out {tmp_path / 'app.exception'}" in ran.err
    ran = await site.run("allow", IMAGE, *WELL, "--out", str(tmp_path / "gone" / "a.exception"))
    assert is_one_line(ran)
    assert "cannot write" in ran.err


async def test_with_the_store_away_the_way_out_is_named_and_goes(
    tmp_path: Path,
) -> None:
    """Neither a store nor a running imagegate: a key and a folder are enough."""
    make_keys(tmp_path / "op", role=Role.OPERATOR)
    away = {"REDIS_URL": "redis://127.0.0.1:1", "IMAGEGATE_OPERATOR_KEYS": str(tmp_path / "op")}
    ran = await imagegate("allow", IMAGE, *WELL, state=tmp_path, **away)
    assert is_one_line(ran)
    for words in ("127.0.0.1:1", "is it running", "--out FILE.exception", "operations.md"):
        assert words in ran.err
    allowed, revoked = tmp_path / "a.exception", tmp_path / "b.exception"
    ran = await imagegate("allow", IMAGE, *WELL, "--out", str(allowed), state=tmp_path, **away)
    assert (ran.code, ran.err) == (0, "")
    exception_id = claimed_key(allowed.read_bytes().strip()).partition(":")[2]
    ran = await imagegate("exceptions", "revoke", exception_id, state=tmp_path, **away)
    assert is_one_line(ran)
    assert "--from FILE" in ran.err
    ran = await imagegate(
        *("exceptions", "revoke", exception_id, "--from", str(allowed), "--out", str(revoked)),
        state=tmp_path,
        **away,
    )
    assert (ran.code, ran.err) == (0, "")
    assert claimed_key(revoked.read_bytes().strip()) == exception_key(exception_id)
    ran = await imagegate("exceptions", "list", state=tmp_path, **away)
    assert is_one_line(ran)


async def test_one_in_a_file_is_revoked_in_the_store_too(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "app.exception"
    await site.run("allow", IMAGE, *WELL, "--out", str(path))
    exception = site.of_file(path)
    ran = await site.run("exceptions", "revoke", exception.id, "--from", str(path))
    assert ran.code == 0
    assert (await site.stored())[exception.id].revoked


@pytest.mark.parametrize("content", [b"", b"no record", b"x" * 10_000])
async def test_a_file_that_holds_no_exception_is_said(
    site: Site, tmp_path: Path, content: bytes
) -> None:
    path = tmp_path / "app.exception"
    path.write_bytes(content)
    ran = await site.run("exceptions", "revoke", "a1b2", "--from", str(path))
    assert is_one_line(ran)
    assert "no signed exception" in ran.err


async def test_a_file_of_another_exception_is_not_taken_for_it(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "app.exception"
    await site.run("allow", IMAGE, *WELL, "--out", str(path))
    ran = await site.run("exceptions", "revoke", "zzz", "--from", str(path))
    assert is_one_line(ran)
    assert "not exception zzz" in ran.err


async def test_a_full_store_says_so_and_names_the_way_out(site: Site) -> None:
    now = site.served.clock.now()
    for number in range(MAX_EXCEPTIONS):
        await site.served.exceptions.put(
            sealed_junk(now), exception_id=f"e{number}", ends=now + HOUR
        )
    ran = await site.run("allow", IMAGE, *WELL)
    assert is_one_line(ran)
    for words in ("2000 exceptions are kept", "exceptions list", "--out FILE.exception"):
        assert words in ran.err


@pytest.mark.parametrize(
    ("put", "said"),
    [
        (Put.AHEAD, "clock is more than 5 s ahead of the store's"),
        (Put.ENDED, "clock is behind the store's"),
        (Put.OLDER, "the store holds a newer record of"),
    ],
)
async def test_what_the_store_does_not_take_is_an_error_that_says_why(
    site: Site, put: Put, said: str
) -> None:
    async def refuse(sealed: bytes, *, exception_id: str, ends: int) -> Put:
        return put

    site.served.exceptions.answer = refuse
    ran = await site.run("allow", IMAGE, *WELL)
    assert is_one_line(ran)
    assert said in ran.err


async def test_a_store_that_fails_behind_the_socket_names_the_way_out(site: Site) -> None:
    async def fail(sealed: bytes, *, exception_id: str, ends: int) -> Put:
        raise StoreUnreachable("no redis")

    site.served.exceptions.answer = fail
    ran = await site.run("allow", IMAGE, *WELL)
    assert is_one_line(ran)
    assert "error: no redis; to go on without it" in ran.err


async def test_a_key_that_is_missing_is_said_with_where_to_name_it(tmp_path: Path) -> None:
    make_keys(tmp_path / "keys", role=Role.WORKER)
    ran = await imagegate("allow", IMAGE, *WELL, state=tmp_path)
    assert is_one_line(ran)
    for words in ("operator.key cannot be read", "IMAGEGATE_OPERATOR_KEYS", "--role operator"):
        assert words in ran.err


async def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    made = make_keys(tmp_path / "keys", role=Role.OPERATOR)
    made.private.chmod(0o644)
    ran = await imagegate("allow", IMAGE, *WELL, state=tmp_path)
    assert is_one_line(ran)
    assert "can be read by others" in ran.err


async def test_a_key_that_the_webhooks_do_not_know_is_refused_before_anything_is_written(
    site: Site, tmp_path: Path
) -> None:
    make_keys(tmp_path / "mine", role=Role.OPERATOR)
    named = {
        "IMAGEGATE_KEYS": str(site.state / "keys"),
        "IMAGEGATE_OPERATOR_KEYS": str(tmp_path / "mine"),
    }
    ran = await site.run("allow", IMAGE, *WELL, **named)
    assert is_one_line(ran)
    assert "would not believe it" in ran.err
    assert await site.stored() == {}


async def test_a_console_shows_and_allows_nothing(site: Site) -> None:
    ran = await site.run("allow", IMAGE, *WELL, IMAGEGATE_CONSOLE="http://127.0.0.1:1")
    assert is_one_line(ran)
    assert "a console only shows, it changes nothing: set REDIS_URL" in ran.err


def test_what_is_signed_is_told_from_all_others(tmp_path: Path) -> None:
    make_keys(tmp_path, role=Role.OPERATOR)
    operator = operator_of(CliSettings(imagegate_keys=tmp_path))
    wanted = Wanted(IMAGE, (), ("*",), 30 * DAY, "r", "o")
    made = {operator.allow(wanted).exception.id for _ in range(1_000)}
    assert len(made) == 1_000
    assert {len(name) for name in made} == {12}
