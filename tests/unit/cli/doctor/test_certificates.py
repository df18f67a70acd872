from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from cryptography import x509

from services.cli.doctor.admission import Hook
from services.cli.doctor.certificates import SOON, bundle_remarks, served_remarks
from services.cli.doctor.remarks import Level
from shared.ports.presence import Alive, Beat
from tests.fakes.certificates import Authority, server_certificate
from tests.unit.cli.doctor.hooks import judging


def hooks_with(*bundles: str) -> tuple[Hook, ...]:
    """Our webhooks with these CA bundles."""
    return tuple(
        msgspec.convert({**hook, "clientConfig": {"caBundle": bundle}}, Hook)
        for hook, bundle in zip(judging(), bundles, strict=False)
    )


@pytest.fixture
def bundle(tmp_path: Path) -> str:
    """Good for a day."""
    ca_file, _ = server_certificate(tmp_path)
    return b64encode(ca_file.read_bytes()).decode()


@pytest.mark.parametrize(
    ("days", "level", "said"),
    [
        (-100, Level.GOOD, "is good for 10"),
        (0, Level.WARN, "ends in"),
        (3, Level.BAD, "ended 3 days ago"),
    ],
)
def test_a_bundle_is_judged_by_its_end(bundle: str, days: int, level: Level, said: str) -> None:
    now = datetime.now(UTC) + timedelta(days=days)

    (remark,) = bundle_remarks(hooks_with(bundle, bundle), now=now)

    assert remark.level is level
    assert said in remark.said


@pytest.mark.parametrize(
    ("before", "level"),
    [
        (timedelta(days=SOON, hours=1), Level.GOOD),
        (timedelta(days=SOON, hours=-1), Level.WARN),
        (timedelta(hours=1), Level.WARN),
        (timedelta(hours=-1), Level.BAD),
    ],
)
def test_an_end_that_is_near_is_told_and_one_that_is_over_is_bad(
    bundle: str, before: timedelta, level: Level
) -> None:
    (authority,) = x509.load_pem_x509_certificates(b64decode(bundle))

    (remark,) = bundle_remarks(
        hooks_with(bundle, bundle), now=authority.not_valid_after_utc - before
    )

    assert remark.level is level


def test_of_several_authorities_the_one_that_lasts_longest_counts(tmp_path: Path) -> None:
    """As while a CA is exchanged: the next one stands beside the last."""
    old = Authority(tmp_path / "old")
    new = Authority(tmp_path / "new", lasts=timedelta(days=100))
    both = b64encode(old.file.read_bytes() + new.file.read_bytes()).decode()

    (remark,) = bundle_remarks(hooks_with(both, both))

    assert remark.level is Level.GOOD


def test_a_bundle_that_is_none_is_bad() -> None:
    for wrong in ("NO-CERTIFICATE-YET", b64encode(b"nothing").decode()):
        (remark,) = bundle_remarks(hooks_with(wrong, wrong))
        assert remark.level is Level.BAD


def test_no_bundle_and_different_ones_are_warnings(bundle: str) -> None:
    missing, _, different = bundle_remarks(hooks_with("", bundle))

    assert (missing.level, different.level) == (Level.WARN, Level.WARN)
    assert "2 different CA bundles" in different.said


@pytest.mark.parametrize(
    ("days", "level", "said"),
    [
        (100, Level.GOOD, "is good for 100 days"),
        (13, Level.WARN, "ends in 13 days"),
        (-2, Level.BAD, "ended 2 days ago"),
    ],
)
def test_what_webhooks_show_is_judged_by_the_one_that_ends_first(
    days: int, level: Level, said: str
) -> None:
    now = datetime.now(UTC)
    ends = [round((now + timedelta(days=each)).timestamp() * 1000) for each in (days, 200)]
    alive = [Alive(Beat("w", "webhook", "1", 0, certificate_ends=end), 0) for end in (*ends, 0)]

    (remark,) = served_remarks(alive, now=now)

    assert remark.level is level
    assert said in remark.said


def test_of_processes_that_show_none_nothing_is_said() -> None:
    assert not list(served_remarks([Alive(Beat("w", "worker", "1", 0), 0)]))
