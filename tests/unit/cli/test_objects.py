from pathlib import Path

import pytest

from services.cli.objects import UnreadableObjects, read_objects


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "objects.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_every_document_of_a_file_is_an_object(tmp_path: Path) -> None:
    text = """
apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
---
---
kind: Deployment
metadata: {generateName: api-}
---
kind: List
items:
  - kind: Pod
    metadata: {name: one}
  - kind: Service
"""
    titles = [one.title for one in read_objects(write(tmp_path, text))]
    assert titles == ["Pod shop/web", "Deployment api-", "Pod one", "Service without a name"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a: [", "cannot be read as YAML"),
        (b"\xff\xfe\xff", "cannot be read as YAML"),
        ("just text", "without a kind"),
        ("kind: 5", "without a kind"),
        ("kind: List\nitems: [1]", "without a kind"),
        ("kind: List", "without a kind"),
        ("a: &a {kind: Pod, b: *a}", "its aliases stand for more than"),
        ("[" * 5000, "cannot be read as YAML"),
        ("!!python/object/apply:os.system [true]", "cannot be read as YAML"),
    ],
)
def test_a_file_without_objects_is_named_with_the_reason(
    tmp_path: Path, text: str | bytes, words: str
) -> None:
    with pytest.raises(UnreadableObjects, match=words):
        read_objects(write(tmp_path, text))


def test_a_file_that_is_not_there_or_too_large_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableObjects, match="No such file"):
        read_objects(tmp_path / "nowhere.yaml")
    with pytest.raises(UnreadableObjects, match="larger than"):
        read_objects(write(tmp_path, "#" * (8 * 1024 * 1024 + 1)))
