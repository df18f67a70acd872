"""What can be wrong with FakeAnchore's answers: statuses, bodies that are none, and lies."""

import asyncio
import copy
import gzip
import json
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from tests.fakes.anchore_wire import Json, engine_error, problem

JSON = "application/json"
PROBLEM = "application/problem+json"

NOT_FOUND = {
    "404-image": "image not found in DB",
    "404-not-analyzed": "image is not analyzed - analysis_status: not_analyzed",
    "404-analyzing": "image is not analyzed - analysis_status: analyzing",
    "404-failed": "image is not analyzed - analysis_status: analysis_failed",
    "404-policy": "Policy bundle nosuch not found in DB",
    "404-no-active-policy": "user has no active policy to evaluate: admin",
    "404-no-evaluations": "could not find any evaluations for input images",
    "404-account": "User account not found",
}


class Fault(msgspec.Struct):
    """One fault. `operation` is `image_check` and so on, or `*`; `times` None: until healed."""

    operation: str
    kind: str
    times: int | None = None
    value: str = ""
    """What the fault needs: a 429's Retry-After, a redirect's goal, the other digest."""


async def misbehave(
    fault: Fault, request: web.Request, closing: asyncio.Event
) -> web.StreamResponse:
    """The answer of a fault that does not look at what was asked."""
    match fault.kind:
        case "hang":
            await closing.wait()
            return web.Response(status=503)
        case "trickle":
            return await _trickle(request, closing)
        case "broken":
            return await _broken(request)
        case "close":
            return _close(request)
        case "echo":
            seen = request.headers.get("Authorization", "")
            return _json(500, engine_error(500, f"failed get url: {seen}"))
    if fault.kind in NOT_FOUND:
        return _json(404, engine_error(404, NOT_FOUND[fault.kind]))
    return ANSWERS[fault.kind](fault.value)


def _html(status: str) -> web.Response:
    page = "<!DOCTYPE html><html><body>Sign in</body></html>"
    return web.Response(status=int(status or 200), text=page, content_type="text/html")


def _too_many(retry_after: str) -> web.Response:
    headers = {"Retry-After": retry_after} if retry_after else {}
    return web.Response(status=429, text="slow down", headers=headers)


def _forbidden(_: str) -> web.Response:
    said = "Not authorized. Requires permissions: domain=admin action=listImages target=*"
    return _json(403, engine_error(403, said))


def _packed(_: str) -> web.Response:
    packed = gzip.compress(b" " * (5 << 20))
    return web.Response(body=packed, headers={"Content-Encoding": "gzip"})


def _server_error(message: str) -> web.Response:
    said = message or "failed get url=http://127.0.0.1:8082/v1/images"
    return _json(500, engine_error(500, said))


def _openapi_not_found(_: str) -> web.Response:
    """The shape that v2's description promises and that no client has seen."""
    said = {"code": 404, "error_type": "NotFound", "message": "image not found in DB", "detail": {}}
    return _json(404, said)


ANSWERS: dict[str, Callable[[str], web.Response]] = {
    "500": _server_error,
    "500-problem": lambda _: _json(500, problem(500, "Server Error", None), kind=PROBLEM),
    "401": lambda _: unauthorized(),
    "403": _forbidden,
    "404-path": lambda _: _json(404, problem(404, "Not Found", "no such URL"), kind=PROBLEM),
    "404-openapi": _openapi_not_found,
    "400-problem": lambda _: _json(400, problem(400, "Bad Request", "no good"), kind=PROBLEM),
    "400": lambda said: _json(400, engine_error(400, said or "no good")),
    "405": lambda _: _json(405, problem(405, "Method Not Allowed", "no"), kind=PROBLEM),
    "406": lambda _: _json(406, engine_error(406, "cannot ping supplied registry")),
    "409": lambda _: _json(409, engine_error(409, "it is there already")),
    "429": _too_many,
    "html": _html,
    "redirect": lambda where: web.Response(status=302, headers={"Location": where}),
    "cut": lambda _: web.Response(body=b'[{"imageDigest": "sha256:', content_type=JSON),
    "deep": lambda _: web.Response(body=b"[" * 100_000, content_type=JSON),
    "huge": lambda _: web.Response(body=b" " * (5 << 20), content_type=JSON),
    "packed": _packed,
    "json": lambda body: web.Response(text=body, content_type=JSON),
}
"""Faults whose answer is fixed, but for `value`."""


def _close(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.close()
    return web.Response()


async def _broken(request: web.Request) -> web.StreamResponse:
    """A body that ends before its Content-Length."""
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"[")
    _close(request)
    return response


async def _trickle(request: web.Request, closing: asyncio.Event) -> web.StreamResponse:
    """A byte now and then, for ever: no read of its own takes long."""
    response = web.StreamResponse()
    await response.prepare(request)
    while not closing.is_set():
        try:
            await response.write(b" ")
        except ConnectionError:
            break
        await asyncio.sleep(0.02)
    return response


def _another_digest(answer: Json, value: str) -> Json:
    (digest, tags), *_ = answer[0].items()
    return [{value or digest[:-4] + "beef": tags}]


def _another_image_digest(answer: Json, value: str) -> Json:
    _evaluation(answer)["detail"]["result"]["image_digest"] = value or "sha256:" + "0" * 64
    return answer


def _another_tag(answer: Json, value: str) -> Json:
    (digest, tags), *_ = answer[0].items()
    evaluations = next(iter(tags.values()))
    evaluations[0]["detail"]["result"]["tag"] = value or "docker.io/library/other:1"
    return [{digest: {value or "docker.io/library/other:1": evaluations}}]


def _another_policy(answer: Json, value: str) -> Json:
    name = value or "other-policy"
    evaluation = _evaluation(answer)
    evaluation["policyId"] = name
    for bundle in (evaluation["detail"]["policy"], evaluation["detail"]["result"]["bundle"]):
        bundle["id"] = name
    return answer


def _no_mapping(answer: Json, _: str) -> Json:
    _evaluation(answer)["detail"]["result"]["matched_mapping_rule"] = False
    return answer


def _problems(answer: Json, _: str) -> Json:
    answer = _no_mapping(answer, "")
    _evaluation(answer)["detail"]["result"]["evaluation_problems"] = [
        {
            "details": "'NoneType' object has no attribute 'digest'",
            "problem_type": "AttributeError",
            "severity": "error",
        }
    ]
    return answer


def _two_images(answer: Json, _: str) -> Json:
    return [*answer, *_another_digest(copy.deepcopy(answer), "")]


def _two_tags(answer: Json, _: str) -> Json:
    (digest, tags), *_rest = answer[0].items()
    return [{digest: tags | {"docker.io/library/other:1": next(iter(tags.values()))}}]


def _two_evaluations(answer: Json, _: str) -> Json:
    (digest, tags), *_rest = answer[0].items()
    (tag, evaluations), *_more = tags.items()
    return [{digest: {tag: evaluations * 2}}]


def _no_detail(answer: Json, _: str) -> Json:
    _evaluation(answer)["detail"] = {}
    return answer


def _without(answer: Json, value: str) -> Json:
    """Without one part, named by its path in the evaluation."""
    *path, last = value.split(".")
    part = _evaluation(answer)
    for key in path:
        part = part[key]
    part.pop(last)
    return answer


def _with(answer: Json, value: str) -> Json:
    """With another value at one path of the evaluation: `PATH=JSON`."""
    where, _, text = value.partition("=")
    *path, last = where.split(".")
    part = _evaluation(answer)
    for key in path:
        part = part[key]
    part[last] = json.loads(text)
    return answer


LIES: dict[str, Callable[[Json, str], Json]] = {
    "wrong-digest": _another_digest,
    "wrong-inner-digest": _another_image_digest,
    "wrong-tag": _another_tag,
    "wrong-policy": _another_policy,
    "no-mapping": _no_mapping,
    "problems": _problems,
    "two-images": _two_images,
    "two-tags": _two_tags,
    "two-evaluations": _two_evaluations,
    "no-detail": _no_detail,
    "without": _without,
    "with": _with,
}
"""Faults that change an answer to v1's `check`."""


def _v2_set(answer: Json, key: str, value: Json) -> Json:
    return answer | {key: value}


def _v2_other_policy(answer: Json, value: str) -> Json:
    name = value or "other-policy"
    answer["evaluations"][0]["details"]["policy"]["id"] = name
    return answer | {"policy_id": name}


def _v2_no_mapping(answer: Json, _: str) -> Json:
    answer["evaluations"][0] |= {"image_mapped_to_rule": False, "matched_mapping_rule": None}
    return answer


def _v2_problems(answer: Json, value: str) -> Json:
    """Of the severity and type `SEVERITY/TYPE`."""
    severity, _, kind = (value or "error/ReferencedObjectNotFoundError").partition("/")
    problem_of = {"severity": severity, "problem_type": kind, "details": "said by the fake"}
    answer["evaluations"][0]["evaluation_problems"] = [problem_of]
    return answer


def _v2_no_detail(answer: Json, _: str) -> Json:
    answer["evaluations"][0]["details"] = None
    return answer


def _v2_two_evaluations(answer: Json, _: str) -> Json:
    return answer | {"evaluations": answer["evaluations"] * 2}


def _v2_without(answer: Json, value: str) -> Json:
    """Without one part; the path begins at the evaluation, or with `/` at the answer."""
    _v2_part(answer, value).pop(value.lstrip("/").rpartition(".")[2])
    return answer


def _v2_with(answer: Json, value: str) -> Json:
    """With another value: `PATH=JSON`."""
    path, _, text = value.partition("=")
    _v2_part(answer, path)[path.lstrip("/").rpartition(".")[2]] = json.loads(text)
    return answer


def _v2_part(answer: Json, path: str) -> Json:
    part = answer if path.startswith("/") else answer["evaluations"][0]
    for key in path.lstrip("/").split(".")[:-1]:
        part = part[key]
    return part


LIES_V2: dict[str, Callable[[Json, str], Json]] = {
    "wrong-digest": lambda answer, value: _v2_set(
        answer, "image_digest", value or answer["image_digest"][:-4] + "beef"
    ),
    "wrong-tag": lambda answer, value: _v2_set(
        answer, "evaluated_tag", value or "docker.io/library/other:1"
    ),
    "wrong-policy": _v2_other_policy,
    "no-mapping": _v2_no_mapping,
    "problems": _v2_problems,
    "two-evaluations": _v2_two_evaluations,
    "no-detail": _v2_no_detail,
    "without": _v2_without,
    "with": _v2_with,
}
"""The same of v2's."""


def lie(fault: Fault, answer: Json, api: str) -> Json:
    """`answer`, changed."""
    return (LIES_V2 if api == "v2" else LIES)[fault.kind](copy.deepcopy(answer), fault.value)


def unauthorized() -> web.Response:
    """401 as Engine says it: HTML, not JSON."""
    return web.Response(
        status=401,
        text="Unauthorized",
        content_type="text/html",
        charset="utf-8",
        headers={"WWW-Authenticate": 'basic realm="Authentication required"'},
    )


def _evaluation(answer: Json) -> dict[str, Any]:
    tags = next(iter(answer[0].values()))
    evaluation: dict[str, Any] = next(iter(tags.values()))[0]
    return evaluation


def _json(status: int, body: Json, *, kind: str = JSON) -> web.Response:
    return web.Response(status=status, text=json.dumps(body), content_type=kind)
