"""Programs of Docker's credential-helper protocol: `PROGRAM get`, the registry on its input.

Each answer is kept for a while, and whoever asks meanwhile shares one run. A run is bounded in
time and output; what it says is shown in one short line, and its answer never.
"""

import asyncio
import os
import signal
from asyncio import StreamReader, StreamWriter
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from shared.adapters.registry.endpoints import Target
from shared.adapters.registry.limits import MAX_HELPER_BYTES, MAX_HELPERS, Timeouts
from shared.adapters.registry.logins import IdentityToken, Login, Password, unusable
from shared.domain.errors import TransientFailure
from shared.ports.clock import Clock

KEPT = 300.0
"""Seconds for which an answer counts."""
RENEWED = 240.0
"""Seconds after which it is asked for again, behind those who use the old one."""
NEW = 10.0
"""Seconds in which a registry that refuses an answer has no other asked for."""
_MAX_SAID = 200

_HUB = "https://index.docker.io/v1/"
"""Docker's name for its own registry, which helpers know it by."""
_TOKEN = "<token>"
"""In the place of a user: what follows is an identity token."""
_NOT_THERE = "credentials not found in native keychain"
"""What helpers say for "I have none", word for word."""

_Key = tuple[str, str]
"""Program and registry."""


class _Answer(msgspec.Struct, rename="pascal"):
    username: str = ""
    secret: str = ""


class _Failed(msgspec.Struct, frozen=True):
    """Why a run gave no login, and whether another may."""

    reason: str
    passing: bool


class _Kept(msgspec.Struct, frozen=True):
    login: Login
    since: float


class CredentialHelpers:
    """Asks them, and keeps what they say; `close` ends the runs under way."""

    def __init__(
        self, *, clock: Clock, timeouts: Timeouts, environ: Mapping[str, str] | None = None
    ) -> None:
        """`environ`: what programs are started with; None: all that we have."""
        self._clock = clock
        self._timeouts = timeouts
        self._environ = environ
        self._kept: dict[_Key, _Kept] = {}
        self._runs: dict[_Key, asyncio.Task[Login | _Failed]] = {}

    async def ask(self, program: str, target: Target) -> Login:
        """Its login for the target's host. Raises TransientFailure where it failed or is slow,
        PermanentFailure (unauthorised) where it has none or there is no such program."""
        key = program, _server(target)
        kept = self._kept.get(key)
        age = self._clock.monotonic() - kept.since if kept else KEPT
        if kept and age < RENEWED:
            return kept.login
        run = self._run(key)
        if kept and age < KEPT:
            return kept.login
        # Who is cut off does not end the run: the next one finds its answer.
        wait = self._timeouts.helper_wait
        done, _ = await asyncio.wait({run}, timeout=wait)
        answer = run.result() if done else _Failed(f"did not answer in {wait:g} s", passing=True)
        if not isinstance(answer, _Failed):
            return answer
        what = f"the credential helper {program} {answer.reason}"
        if answer.passing:
            raise TransientFailure(f"{target.name}: {what}; it is tried again")
        raise unusable(target, f"{what}; try `echo {key[1]} | {program} get` where this runs")

    def outdated(self, login: Login) -> bool:
        """Whether a helper gave it and another may be had: it is not kept any more, or is old
        enough to be forgotten now."""
        if not login.by_helper:
            return False
        for key, kept in self._kept.items():
            if kept.login is login:
                if self._clock.monotonic() - kept.since < NEW:
                    return False
                del self._kept[key]
                return True
        return True

    async def close(self) -> None:
        """End what runs."""
        runs = list(self._runs.values())
        for run in runs:
            run.cancel()
        await asyncio.gather(*runs, return_exceptions=True)

    def _run(self, key: _Key) -> asyncio.Task[Login | _Failed]:
        """The run under way, or a new one."""
        run = self._runs.get(key)
        if run is None:
            run = asyncio.create_task(self._answer(key), name=f"credential helper {key[0]}")
            self._runs[key] = run
            run.add_done_callback(lambda _: self._runs.pop(key))
        return run

    async def _answer(self, key: _Key) -> Login | _Failed:
        program, server = key
        try:
            async with asyncio.timeout(self._timeouts.helper):
                code, output, said = await _execute(program, server, self._environ)
        except TimeoutError:
            return _Failed(f"did not end in {self._timeouts.helper:g} s", passing=True)
        except _TooMuch:
            return _Failed(f"wrote more than {MAX_HELPER_BYTES} bytes", passing=False)
        except OSError as error:
            reason = (error.strerror or "unknown error").lower()
            return _Failed(f"cannot be started: {reason}", passing=False)
        login = _failure(code, output, said) if code else _login(output)
        if not isinstance(login, _Failed):
            if len(self._kept) >= MAX_HELPERS:  # reloaded rules may name others for ever
                self._kept.clear()
            self._kept[key] = _Kept(login, self._clock.monotonic())
        return login


class _TooMuch(Exception):
    """More output than is taken."""


async def _execute(
    program: str, server: str, environ: Mapping[str, str] | None
) -> tuple[int, bytes, bytes]:
    """Exit code, standard output and standard error, in a process group of its own. Raises
    OSError, _TooMuch."""
    process = await asyncio.create_subprocess_exec(
        program, "get", stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environ, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        _, output, said = await asyncio.gather(
            _tell(process.stdin, server), _read(process.stdout), _read(process.stderr)
        )
        return await process.wait(), output, said
    finally:
        await _end(process)


async def _tell(stream: StreamWriter, text: str) -> None:
    with suppress(ConnectionError):  # it may answer without reading
        stream.write(text.encode())
        await stream.drain()
    stream.close()


async def _read(stream: StreamReader) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await stream.read(MAX_HELPER_BYTES):
        pieces.append(piece)
        size += len(piece)
        if size > MAX_HELPER_BYTES:
            raise _TooMuch
    return b"".join(pieces)


async def _end(process: Process) -> None:
    """It and all that it started are gone, cancelled or not."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await asyncio.shield(process.wait())


def _login(output: bytes) -> Login | _Failed:
    try:
        answer = msgspec.json.decode(output, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return _Failed("answered with something that is no JSON with a Secret", passing=False)
    if not answer.username or not answer.secret:
        return _Failed("answered without a Username or without a Secret", passing=False)
    if answer.username == _TOKEN:
        return IdentityToken(answer.secret, by_helper=True)
    return Password(answer.username, answer.secret, by_helper=True)


def _failure(code: int, output: bytes, said: bytes) -> _Failed:
    """What a run that failed says for itself: on standard error, else on its output, where
    Docker's own helpers put it; not where that looks like an answer."""
    answer = _one_line(output)
    if answer == _NOT_THERE:
        return _Failed("has no credentials for it", passing=False)
    reason = _one_line(said) or ("" if "{" in answer else answer)
    how = f"was killed by signal {-code}" if code < 0 else f"failed with exit code {code}"
    return _Failed(f"{how}{': ' if reason else ''}{reason[:_MAX_SAID]}", passing=True)


def _one_line(text: bytes) -> str:
    return " ".join(text.decode(errors="replace").split())


def _server(target: Target) -> str:
    host = target.reference.host
    return _HUB if host == "docker.io" else host
