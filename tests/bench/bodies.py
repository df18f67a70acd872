"""Bodies of reviews, as an API server writes them."""

import json
from pathlib import Path
from typing import Any

REVIEW = Path("tests/data/reviews/pod-create.json")
PERSON = "ada"
REPLICASETS = "system:serviceaccount:kube-system:replicaset-controller"


def review_body(
    folder: Path, *images: str, user: str = REPLICASETS, namespace: str = "team"
) -> Path:
    """A file with the review of a Pod with these images: 1.3 kB for each, and 2.5 for the rest."""
    review: Any = json.loads(REVIEW.read_bytes())
    request = review["request"]
    pod = request["object"]
    request["userInfo"]["username"] = user
    request["namespace"] = pod["metadata"]["namespace"] = namespace
    names = [f"c{number}" for number in range(len(images))]
    container = pod["spec"]["containers"][0]
    pod["spec"]["containers"] = [
        container | {"name": name, "image": image}
        for name, image in zip(names, images, strict=True)
    ]
    # Whoever made the pod manages each field of each container.
    managed = pod["metadata"]["managedFields"][0]["fieldsV1"]["f:spec"]["f:containers"]
    fields = managed['k:{"name":"app"}']
    managed.clear()
    managed.update({f'k:{{"name":"{name}"}}': fields for name in names})
    path = folder / f"review-{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(review, separators=(",", ":")) + "\n")
    return path
