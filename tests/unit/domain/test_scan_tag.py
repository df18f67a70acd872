"""The tag under which a scanner is asked, and the way back from it."""

from hypothesis import given
from hypothesis import strategies as st

from shared.domain.verdict import Subject

REPOSITORY = "registry.corp:5000/team/app"
digests = st.text(alphabet="0123456789abcdef", min_size=64, max_size=64).map("sha256:{}".format)
tags = st.none() | st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", fullmatch=True)


@given(digests, tags)
def test_from_its_scan_tag_and_its_digest_a_subject_comes_back(
    digest: str, tag: str | None
) -> None:
    subject = Subject(REPOSITORY, digest, tag)
    repository, _, scanned = subject.scan_tag.rpartition(":")
    assert Subject.scanned_as(repository, scanned, digest) == subject


@given(digests, digests)
def test_a_tag_of_ours_stands_for_no_tag_beside_its_own_digest_alone(one: str, other: str) -> None:
    ours = Subject(REPOSITORY, one).scan_tag.rpartition(":")[2]
    assert Subject.scanned_as(REPOSITORY, ours, one).tag is None
    tag = Subject.scanned_as(REPOSITORY, ours, other).tag
    assert tag == (None if one[7:19] == other[7:19] else ours)
