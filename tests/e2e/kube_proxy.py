"""How an API server reaches Services without any network of pods: a proxy that it asks to connect.

Its egress selector's `HTTPConnect` over a Unix socket. The address of a Service leads to where a
pod of it is on this machine, by the same names that pods use (`tests.e2e.in_pod`).
"""

import json
import selectors
import socket
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

LOOPBACK = "127.0.0.1"
SELECTOR = """\
apiVersion: apiserver.k8s.io/v1beta1
kind: EgressSelectorConfiguration
egressSelections:
  - name: cluster
    connection: {{proxyProtocol: HTTPConnect, transport: {{uds: {{udsName: "{}"}}}}}}
"""


class KubeProxy:
    """A context manager. `flag` is for the API server's command line."""

    def __init__(self, folder: Path, *, names: Path) -> None:
        self._names = names
        self._socket = folder / "proxy.sock"
        self._file = folder / "egress.yaml"
        self._listening = socket.socket(socket.AF_UNIX)

    @property
    def flag(self) -> str:
        return f"--egress-selector-config-file={self._file}"

    def __enter__(self) -> Self:
        self._file.write_text(SELECTOR.format(self._socket))
        self._listening.bind(str(self._socket))
        self._listening.listen(64)
        threading.Thread(target=self._accept, name="kube-proxy", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listening.accept()
                threading.Thread(target=self._carry, args=(caller,), daemon=True).start()

    def _carry(self, caller: socket.socket) -> None:
        with caller, suppress(OSError), ExitStack() as stack:
            head = b""
            while not head.endswith(b"\r\n\r\n"):
                if not (more := caller.recv(1)):
                    return
                head += more
            address = head.split()[1].decode()
            port = json.loads(self._names.read_text()).get(address, 1)
            try:
                server = stack.enter_context(socket.create_connection((LOOPBACK, port), timeout=5))
            except OSError:
                caller.sendall(b"HTTP/1.1 502 connection refused\r\n\r\n")
                return
            server.settimeout(None)
            caller.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _both_ways(caller, server)


def _both_ways(one: socket.socket, other: socket.socket) -> None:
    with selectors.DefaultSelector() as ready:
        ready.register(one, selectors.EVENT_READ, other)
        ready.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in ready.select():
                assert isinstance(key.fileobj, socket.socket)
                data = key.fileobj.recv(65_536)
                if not data:
                    return
                key.data.sendall(data)
