"""Where images are named: lists, manifests, repositories; and what of them cannot be read."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from services.cli.prewarm.found import Found, NotRead, PassedOver, Source, Told
from services.cli.prewarm.image_list import ImageList
from services.cli.prewarm.manifests import MAX_FILES, Manifests
from services.cli.prewarm.repository import InvalidRepository, Repository
from services.cli.prewarm.text_file import MAX_FILE, UnreadableFile
from shared.domain.errors import ErrorKind, PermanentFailure
from shared.domain.reference import ImageReference

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  template:
    metadata: {labels: {pci: "true"}, annotations: {a: b}}
    spec:
      initContainers: [{name: i, image: "registry.corp/init:1"}]
      containers: [{name: c, image: "registry.corp/web:1"}, {name: d, image: "registry.corp/web:1"}]
      volumes: [{name: v, image: {reference: "registry.corp/data:2"}}]
"""
CRONJOB = """\
apiVersion: batch/v1
kind: CronJob
metadata: {name: night}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: c, image: "a.corp/n:1"}]}}}}}
"""


async def told_by(source: Source) -> list[Told]:
    return [each async for each in source.told()]


async def test_a_list_names_an_image_a_line_and_may_say_more_behind_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "images"
    file.write_text("\n# all of them\nregistry.corp/a:1  # the first\n  nginx\n")
    assert await told_by(ImageList(str(file), namespace="team")) == [
        Found("team", ("registry.corp/a:1",)),
        Found("team", ("nginx",)),
    ]


async def test_a_line_that_is_no_image_is_told_with_its_number_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    file = tmp_path / "images"
    file.write_text("a:1\nNOT AN IMAGE\nb:1\n")
    one, bad, other = await told_by(ImageList(str(file), namespace="team"))
    assert isinstance(one, Found)
    assert isinstance(other, Found)
    assert isinstance(bad, NotRead)
    assert bad.where == f"{file}:2"


@pytest.mark.parametrize("content", [None, b"\xff\xfe"])
async def test_a_file_that_is_no_list_at_all_ends_it(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "images"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UnreadableFile, match=str(file)):
        await told_by(ImageList(str(file), namespace="team"))


async def test_what_is_larger_or_more_than_anybody_writes_ends_it(tmp_path: Path) -> None:
    large = tmp_path / "large"
    large.touch()
    os.truncate(large, MAX_FILE + 1)
    with pytest.raises(UnreadableFile, match=f"large is larger than {MAX_FILE} bytes"):
        await told_by(ImageList(str(large), namespace="team"))
    for number in range(MAX_FILES + 1):
        (tmp_path / f"{number}.yaml").touch()
    with pytest.raises(UnreadableFile, match="holds more than 10000 manifests"):
        await told_by(Manifests(str(tmp_path), namespace="team"))


async def test_a_manifest_names_every_image_place_of_its_template_once(tmp_path: Path) -> None:
    file = tmp_path / "web.yaml"
    file.write_text(DEPLOYMENT)
    assert await told_by(Manifests(str(file), namespace="team")) == [
        Found(
            namespace="shop",
            images=("registry.corp/init:1", "registry.corp/web:1", "registry.corp/data:2"),
            title="Deployment shop/web",
            labels={"pci": "true"},
            annotations={"a": "b"},
        )
    ]


async def test_an_object_without_a_namespace_is_in_the_one_that_was_named(tmp_path: Path) -> None:
    (tmp_path / "night.yml").write_text(CRONJOB)
    (found,) = await told_by(Manifests(str(tmp_path), namespace="team"))
    assert isinstance(found, Found)
    assert (found.namespace, found.title) == ("team", "CronJob team/night")


async def test_a_broken_document_keeps_no_other_out(tmp_path: Path) -> None:
    file = tmp_path / "all.yaml"
    file.write_text(
        f"# Source: chart\n---\n{DEPLOYMENT}---\n# nothing\n---\nkind: [\n--- # next\n{CRONJOB}"
    )
    one, bad, other = await told_by(Manifests(str(file), namespace="team"))
    assert isinstance(one, Found)
    assert isinstance(other, Found)
    assert isinstance(bad, NotRead)
    assert bad.where == f"{file}, document 2 (line 15)"


async def test_aliases_that_stand_for_gigabytes_are_told_as_not_read(tmp_path: Path) -> None:
    """Of a folder that somebody sent, on a machine with the right to ask for scans."""
    bomb = "kind: Pod\na0: &a0 [x]\n" + "".join(
        f"a{at}: &a{at} [{', '.join([f'*a{at - 1}'] * 9)}]\n" for at in range(1, 40)
    )
    (tmp_path / "all.yaml").write_text(
        f"{bomb}---\nkind: Pod\nspec: {{containers: [{{image: a}}]}}"
    )
    broken, read = await told_by(Manifests(str(tmp_path), namespace="team"))
    assert isinstance(broken, NotRead)
    assert "cannot be read as YAML: its aliases stand for more than" in broken.what
    assert isinstance(read, Found)


async def test_what_the_api_server_would_refuse_unread_is_told_by_name(tmp_path: Path) -> None:
    file = tmp_path / "pod.yaml"
    file.write_text("kind: Pod\napiVersion: v1\nmetadata: {name: p}\nspec: {containers: 7}\n")
    (bad,) = await told_by(Manifests(str(file), namespace="team"))
    assert isinstance(bad, NotRead)
    assert "Pod team/p" in bad.where
    assert "refused unread" in bad.what


async def test_lists_are_looked_into_and_what_makes_no_pods_is_counted(tmp_path: Path) -> None:
    items = '{"metadata": {"name": "x"}, "spec": {"containers": [{"name": "c", "image": "a:1"}]}}'
    (tmp_path / "pods.json").write_text(
        f'{{"apiVersion": "v1", "kind": "PodList", "items": [{items}]}}'
    )
    (tmp_path / "more.yaml").write_text(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service}\n"
        "- {apiVersion: v1, kind: ConfigMap}\n"
    )
    found, passed = await told_by(Manifests(str(tmp_path), namespace="team"))
    assert isinstance(found, Found)
    assert (found.title, found.images) == ("Pod team/x", ("a:1",))
    assert passed == PassedOver("objects that make no pods", 2)


@pytest.mark.parametrize("text", ["just: text", "only text", "kind: 7", "[kind, Pod]"])
async def test_a_document_that_is_no_object_is_trouble(tmp_path: Path, text: str) -> None:
    file = tmp_path / "x.yaml"
    file.write_text(text)
    (bad,) = await told_by(Manifests(str(file), namespace="team"))
    assert bad == NotRead(f"{file}, document 1 (line 1)", "it has no kind: it is no object")


async def test_documents_are_parted_by_what_kubectl_takes_for_the_end_of_one(
    tmp_path: Path,
) -> None:
    file = tmp_path / "all.yaml"
    pod = "kind: Pod\nmetadata: {generateName: job-}\nspec: {containers: [{image: a}]}"
    file.write_text(
        f"--- # Source: one\n{pod}\n---\t\n{pod}\n---\r\n"
        f"{pod.replace('{generateName: job-}', '{annotations: {made: 2026-01-01}}')}\n---"
    )
    told = await told_by(Manifests(str(file), namespace="team"))
    assert [each.title for each in told if isinstance(each, Found)] == [
        "Pod team/job-",
        "Pod team/job-",
        "Pod team/without a name",
    ]
    assert len(told) == 3


@pytest.mark.parametrize("name", ["gone", "empty"])
async def test_a_place_without_manifests_ends_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnreadableFile, match=name):
        await told_by(Manifests(str(tmp_path / name), namespace="team"))


async def test_what_is_no_file_in_a_folder_is_told_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    """To open a pipe that nobody fills takes for ever."""
    os.mkfifo(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").symlink_to(tmp_path / "gone")
    (tmp_path / "c.yaml").write_bytes(b"\xff")
    (tmp_path / "d.yaml").write_text(CRONJOB)
    *bad, found = await told_by(Manifests(str(tmp_path), namespace="team"))
    assert bad[:2] == [
        NotRead(str(tmp_path / "a.yaml"), "it is no regular file"),
        NotRead(str(tmp_path / "b.yaml"), "it is no regular file"),
    ]
    assert isinstance(bad[2], NotRead)
    assert "is not UTF-8" in bad[2].what
    assert isinstance(found, Found)


@pytest.mark.parametrize("source", [ImageList, Manifests])
async def test_a_pipe_that_is_named_is_read(
    tmp_path: Path, source: type[ImageList] | type[Manifests]
) -> None:
    """As the shell's `<(helm template ...)` is one."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    text = CRONJOB if source is Manifests else "a.corp/n:1"
    writing = asyncio.create_task(asyncio.to_thread(pipe.write_text, text))
    (found,) = await asyncio.to_thread(
        lambda: asyncio.run(told_by(source(str(pipe), namespace="team")))
    )
    await writing
    assert isinstance(found, Found)
    assert found.images == ("a.corp/n:1",)


async def test_a_folder_that_is_linked_is_read_where_it_is_and_told_where_it_is_elsewhere(
    tmp_path: Path,
) -> None:
    place, elsewhere = tmp_path / "place", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (place / "..moment").mkdir(parents=True)
    (place / "..moment" / "night.yaml").write_text(CRONJOB)
    (place / "..data").symlink_to("..moment")
    (place / "base").symlink_to(elsewhere)
    unread, found = await told_by(Manifests(str(place), namespace="team"))
    assert isinstance(found, Found)
    assert isinstance(unread, NotRead)
    assert unread.where == str(place / "base")
    assert "is not followed" in unread.what
    (tmp_path / "alias").symlink_to(place)
    assert len(await told_by(Manifests(str(tmp_path / "alias"), namespace="team"))) == 2


async def test_a_folder_that_may_not_be_looked_into_is_told(tmp_path: Path) -> None:
    (tmp_path / "night.yaml").write_text(CRONJOB)
    here = os.open(tmp_path, os.O_RDONLY)
    try:  # longer than any path may be: root may look into everything else
        for _ in range(20):
            os.mkdir("x" * 250, dir_fd=here)
            inner = os.open("x" * 250, os.O_RDONLY, dir_fd=here)
            os.close(here)
            here = inner
    finally:
        os.close(here)
    unread, found = await told_by(Manifests(str(tmp_path), namespace="team"))
    assert isinstance(found, Found)
    assert isinstance(unread, NotRead)
    assert unread.where.startswith(str(tmp_path / ("x" * 250)))
    assert unread.what == "cannot read it: File name too long"


class Tags:
    """A registry's word."""

    def __init__(
        self,
        *pages: Sequence[str],
        error: Exception | None = None,
        of: str = "registry.corp/team/app",
    ) -> None:
        self._pages = pages
        self._error = error
        self._of = of

    async def tags(self, reference: ImageReference) -> AsyncIterator[Sequence[str]]:
        assert reference.repository == self._of
        for page in self._pages:
            yield page
        if self._error:
            raise self._error


async def test_the_tags_that_globs_name_are_images_and_the_others_are_counted() -> None:
    tags = Tags(["1.0", "2.0", "latest"], ["2.1", "sha256-abc.sig", "sha256-abc.att"], ["2.x.sig"])
    repository = Repository(
        "registry.corp/team/app", globs=["2.*", "latest"], tags=tags, namespace="team"
    )
    told = await told_by(repository)
    assert [each.images for each in told if isinstance(each, Found)] == [
        ("registry.corp/team/app:2.0",),
        ("registry.corp/team/app:latest",),
        ("registry.corp/team/app:2.1",),
        ("registry.corp/team/app:2.x.sig",),
    ]
    assert [each.count for each in told if isinstance(each, PassedOver)] == [2, 1]


async def test_a_registry_that_lists_nothing_is_trouble() -> None:
    tags = Tags(["1"], error=PermanentFailure("no such thing", kind=ErrorKind.NOT_FOUND))
    told = await told_by(
        Repository("registry.corp/team/app", globs=["*"], tags=tags, namespace="team")
    )
    assert told[-1] == NotRead("the tags of registry.corp/team/app", "no such thing")


async def test_tags_of_signatures_are_no_images_and_no_others_are_taken_for_them() -> None:
    tags = Tags([f"sha256-abc{end}" for end in (".sig", ".att", ".sbom", "", "-arm64")])
    repository = Repository("registry.corp/team/app", globs=["*"], tags=tags, namespace="team")
    *found, passed = await told_by(repository)
    assert [each.images for each in found if isinstance(each, Found)] == [
        ("registry.corp/team/app:sha256-abc",),
        ("registry.corp/team/app:sha256-abc-arm64",),
    ]
    assert isinstance(passed, PassedOver)
    assert passed.count == 3


async def test_the_port_of_a_registry_is_no_tag() -> None:
    tags = Tags(["1"], of="127.0.0.1:5000/app")
    (found,) = await told_by(
        Repository("127.0.0.1:5000/app", globs=["*"], tags=tags, namespace="team")
    )
    assert found == Found("team", ("127.0.0.1:5000/app:1",))


@pytest.mark.parametrize(
    "text",
    ["registry.corp/app:1", "registry.corp/UPPER", "a@sha256:0", f"a.corp/a@sha256:{'a' * 64}"],
)
def test_what_names_no_repository_is_refused(text: str) -> None:
    with pytest.raises(InvalidRepository, match="--repository"):
        Repository(text, globs=["*"], tags=Tags(), namespace="team")
