"""Whether the built-in scanner says of an image what a real Engine said (tests/data/agreement).

Images, feed (out of OSV records) and bundles are rebuilt from recordings, every recorded check
is matched and evaluated again, and the answers are compared whole: final action and what it
rests on, which entries of the bundle matched, and every row. Where ours differs on purpose
`NAMED` says why, and each reason is the exact difference that it makes: what Engine said and
the reasons give what we say.
"""

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from services.scanner.bundles.bundle import read_bundle
from services.scanner.bundles.evaluation import as_engine_result, evaluate
from services.scanner.bundles.rules import ACTIONS
from services.scanner.bundles.selection import Subject
from services.scanner.feeds.feed import Feed
from services.scanner.feeds.folder import FeedFolder
from services.scanner.feeds.importing import import_records
from services.scanner.gates.vulnerable import PACKAGE_TYPES
from services.scanner.matching.finding import Matches
from services.scanner.records import ImageFacts, Package

FOLDER = Path(__file__).parent / "data" / "agreement"

T = TypeVar("T")

Row = tuple[Any, ...]
"""Trigger id, gate, trigger, message, action, whitelisted, policy."""


class Told(msgspec.Struct, frozen=True):
    """An evaluation in detail."""

    final_action: str
    final_action_reason: str
    policy_action: str
    evaluation_problems: tuple[tuple[str, str], ...]
    """Type and details."""
    matched_mapping_rule: Any
    matched_whitelisted_images_rule: Any
    matched_blacklisted_images_rule: Any
    rows: tuple[Row, ...]
    """Gate by gate, in one by their texts: Engine's own order is its database's there."""


class Answer(msgspec.Struct, frozen=True):
    """What is answered to a check."""

    status: str
    """pass, fail, or 404: there is no such image, or not under that tag."""
    told: Told | None = None


class Check(msgspec.Struct, frozen=True):
    """A recorded check."""

    name: str
    at: datetime
    asked: str
    digest: str
    fulltag: str
    bundle: str
    status: str
    result: dict[str, Any] | None = None

    @property
    def theirs(self) -> Answer:
        """What Engine answered."""
        told = _told(self.result, self.result["rows"]) if self.result else None
        return Answer(self.status, told)


class _Image(msgspec.Struct, frozen=True):
    digest: str
    image_id: str
    tags: tuple[str, ...]
    packages: tuple[str, ...]
    user: str
    dockerfile: str
    dockerfile_mode: Any
    distro: str
    distro_version: str
    architecture: str
    layers: int
    size: int


class _FeedState(msgspec.Struct, frozen=True):
    since: datetime = msgspec.field(name="from")
    records: tuple[str, ...]
    told_by: str


class Listing(msgspec.Struct, frozen=True):
    """A recorded listing of vulnerabilities."""

    name: str
    at: datetime
    digest: str
    found: tuple[tuple[Any, ...], ...]
    """Id, package, its version and type, severity, fixed version, link, group, will not fix."""

    @property
    def ours(self) -> tuple[tuple[Any, ...], ...]:
        """The same of what the built-in scanner finds."""
        return tuple(
            sorted(
                (
                    one.id,
                    one.package.name,
                    one.package.version,
                    PACKAGE_TYPES[one.package.type],
                    one.severity.name.capitalize(),
                    str(one.fixed),
                    one.url,
                    one.group,
                    one.will_not_fix,
                )
                for one in matches(self.digest, self.at).findings
            )
        )


class Agreement(msgspec.Struct, frozen=True):
    """How many recordings there are, and of how many we say the same."""

    counted: tuple[str, ...]
    """Without a named reason to differ."""
    agreeing: tuple[str, ...]
    """Of these."""
    named: tuple[str, ...]

    @property
    def percent(self) -> float:
        return 100 * len(self.agreeing) / len(self.counted)


def agreement() -> Agreement:
    """Evaluate every recording again."""
    counted = [check for check in checks() if check.name not in NAMED]
    return Agreement(
        counted=tuple(check.name for check in counted),
        agreeing=tuple(check.name for check in counted if agrees(ours(check), check.theirs)),
        named=tuple(check.name for check in checks() if check.name in NAMED),
    )


def agrees(ours: Answer, theirs: Answer) -> bool:
    """Without details on Engine's side the status alone is compared."""
    return ours == theirs if theirs.told else ours.status == theirs.status


@cache
def checks() -> tuple[Check, ...]:
    """All recordings."""
    return _read("checks", tuple[Check, ...])


@cache
def listings() -> tuple[Listing, ...]:
    """All recorded listings of vulnerabilities."""
    return _read("vulnerabilities", tuple[Listing, ...])


@cache
def bundles() -> Mapping[str, dict[str, Any]]:
    """The bundles by their ids, as they were pushed."""
    return {bundle["id"]: bundle for bundle in _read("bundles", list[dict[str, Any]])}


def ours(check: Check) -> Answer:
    """What the built-in scanner answers: of a digest that it knows, under a tag of that digest."""
    image = next((one for one in _images() if one.digest == check.asked), None)
    if image is None or check.fulltag not in image.tags:
        return Answer("404")
    now = int(check.at.timestamp() * 1000)
    outcome = evaluate(
        read_bundle(json.dumps(bundles()[check.bundle]).encode()),
        _facts(image),
        matches(image.digest, check.at),
        subject=Subject(check.fulltag, image.digest, image.image_id),
        now=now,
    )
    result = as_engine_result(
        outcome,
        bundle=bundles()[check.bundle],
        digest=image.digest,
        image_id=image.image_id,
        fulltag=check.fulltag,
        now=now,
    )
    plain = json.loads(msgspec.json.encode(result))
    table = plain["result"][image.image_id]["result"]
    told = _told(
        plain | {"policy_action": table["final_action"]}, [row[2:] for row in table["rows"]]
    )
    return Answer(plain["status"], told)


def matches(digest: str, at: datetime) -> Matches:
    """What the feed of that moment knows of an image."""
    since = max(one.since for one in _read("feed", tuple[_FeedState, ...]) if one.since <= at)
    return _known()[digest, since]


def _told(result: dict[str, Any], rows: list[list[Any]]) -> Told:
    return Told(
        final_action=result["final_action"],
        final_action_reason=result["final_action_reason"],
        policy_action=result["policy_action"],
        evaluation_problems=tuple(
            (one["problem_type"], one["details"]) for one in result["evaluation_problems"]
        ),
        matched_mapping_rule=result["matched_mapping_rule"],
        matched_whitelisted_images_rule=result["matched_whitelisted_images_rule"],
        matched_blacklisted_images_rule=result["matched_blacklisted_images_rule"],
        rows=_in_order(map(tuple, rows)),
    )


def _facts(image: _Image) -> ImageFacts:
    listed = _read("packages", dict[str, list[tuple[str, str, str]]])
    return ImageFacts(
        distro=image.distro,
        distro_version=image.distro_version,
        packages=tuple(
            Package(name, version, "deb", source or name, version)
            for part in image.packages
            for name, version, source in listed[part]
        ),
        user=image.user,
        history=(),
        exposed_ports=(),
        dockerfile=image.dockerfile,
        dockerfile_mode=image.dockerfile_mode,
        architecture=image.architecture,
        layers=image.layers,
        size=image.size,
    )


@cache
def _known() -> Mapping[tuple[str, datetime], Matches]:
    """What the feed of each time knows of each image."""
    known: dict[tuple[str, datetime], Matches] = {}
    for state in _read("feed", tuple[_FeedState, ...]):
        with tempfile.TemporaryDirectory() as name, _feed(Path(name), state) as feed:
            for image in _images():
                known[image.digest, state.since] = feed.match(_facts(image))
    return known


@contextmanager
def _feed(folder: Path, state: _FeedState) -> Iterator[Feed]:
    for record in _read("advisories", list[dict[str, Any]]):
        if record["id"] in state.records:
            (folder / f"{record['id']}.json").write_text(json.dumps(record))
    built = FeedFolder(folder / "feed")
    import_records(
        built,
        sorted(folder.glob("*.json")),
        whole=["Debian"],
        as_of=int(state.since.timestamp() * 1000),
    )
    file = built.current()
    if file is None:
        raise LookupError(folder)
    with closing(Feed.open(file)) as feed:
        yield feed


@cache
def _images() -> tuple[_Image, ...]:
    return _read("images", tuple[_Image, ...])


def _read(name: str, kind: type[T]) -> T:
    return msgspec.json.decode((FOLDER / f"{name}.json").read_bytes(), type=kind)


def _in_order(rows: Iterable[Row]) -> tuple[Row, ...]:
    known = list(rows)
    gates = list(dict.fromkeys(row[1] for row in known))
    return tuple(sorted(known, key=lambda row: (gates.index(row[1]), repr(row))))


Change = Callable[[Check, Answer], Answer]


def missing_data_is_said(check: Check, answer: Answer) -> Answer:
    """A policy that asks for vulnerabilities and not for missing data gets a warning of it."""
    (row,) = (
        row
        for other in checks()
        for row in (other.theirs.told.rows if other.theirs.told else ())
        if other.name == "check-default-bundle-detail-tiny"
        and row[2] == "vulnerability_data_unavailable"
    )
    policy = bundles()[check.bundle]["policies"][0]["id"]
    told = _of(answer)
    # The baseline asks for vulnerabilities first.
    return _with_rows(answer, ((*row[:4], "warn", False, policy), *told.rows))


def the_configs_user_counts(check: Check, answer: Answer) -> Answer:
    """Whoever reads the Dockerfile takes an image for root whose User stands in its config."""
    rows = _of(answer).rows
    return _with_rows(answer, tuple(row for row in rows if row[2] != "effective_user"))


def no_mapping_is_no_pass(check: Check, answer: Answer) -> Answer:
    """Where no mapping matches nothing was judged."""
    problem = (
        "NoMatchingMapping",
        f"no mapping of the bundle {check.bundle} matches {check.fulltag}: add one for it",
    )
    told = msgspec.structs.replace(
        _of(answer), final_action="stop", policy_action="stop", evaluation_problems=(problem,)
    )
    return Answer("fail", told)


def a_mapping_by_digest_breaks_nothing(check: Check, answer: Answer) -> Answer:
    """Engine's own bug: such a mapping before another one fails every other image."""
    kind = check.name.rpartition("-")[2]
    (other,) = (one for one in checks() if one.name == f"check-baseline-active-{kind}")
    return other.theirs


def there_is_no_such_image(check: Check, answer: Answer) -> Answer:
    """A tag is not taken on anybody's word, and a manifest list is no image."""
    return Answer("404")


_NO_DATA = (missing_data_is_said,)
_NO_IMAGE = (there_is_no_such_image,)

NAMED: Mapping[str, tuple[Change, ...]] = {
    "check-after-delete": _NO_DATA,
    "check-baseline-active-tiny": _NO_DATA,
    "check-baseline-armonly": _NO_DATA,
    "check-baseline-digest": _NO_DATA,
    "check-baseline-multi-docker": _NO_DATA,
    "check-baseline-ocitiny": _NO_DATA,
    "check-baseline-policyid-tiny": _NO_DATA,
    "check-baseline-usercolon": _NO_DATA,
    "check-baseline-useronlyconfig": (the_configs_user_counts, missing_data_is_said),
    "check-by-parent-digest": _NO_IMAGE,
    "check-by-tag-of-other-repo-bad": _NO_IMAGE,
    "check-by-tag-of-other-repo-good": _NO_IMAGE,
    "check-by-tag-of-other-repo-tiny": _NO_IMAGE,
    "check-malformed-tag": _NO_IMAGE,
    "check-narrow-no-mapping-matches": (no_mapping_is_no_pass,),
    "check-v-mapping-digest-bad": (a_mapping_by_digest_breaks_nothing,),
    "check-v-mapping-digest-good": (a_mapping_by_digest_breaks_nothing,),
}
"""Recording -> why ours differs. docs/design/scanner.md, "Differences from Engine"."""


def _of(answer: Answer) -> Told:
    if answer.told is None:
        raise ValueError("a recording without details cannot be changed in detail")
    return answer.told


def _with_rows(answer: Answer, rows: tuple[Row, ...]) -> Answer:
    """The same with other rows, and the action that these add up to."""
    action = max((row[4] for row in rows), key=ACTIONS.index, default="go")
    told = msgspec.structs.replace(
        _of(answer), rows=_in_order(rows), final_action=action, policy_action=action
    )
    return Answer("fail" if action == "stop" else "pass", told)
