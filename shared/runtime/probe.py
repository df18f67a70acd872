"""Ask a probe from inside a container: `python -m shared.runtime.probe URL`.

The image has no curl, and the whole command line would take a second of CPU to say yes. Exit
code 0 when `URL` answers 200, 1 when it answers anything else or nothing; what it said (the
reasons of `/readyz`) is printed, and `docker inspect` shows it.
"""

import sys
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

TIMEOUT = 3.0
MAX_ANSWER = 4096


def probe(url: str, *, timeout: float = TIMEOUT) -> tuple[bool, str]:
    """Whether `url` (plain HTTP, any proxy of the environment left aside) answers 200, and what
    it said or why it said nothing."""
    where = urlsplit(url)
    if where.scheme != "http" or not where.hostname:
        return False, f"{url} is not http://HOST:PORT/PATH"
    connection = HTTPConnection(where.hostname, where.port, timeout=timeout)
    try:
        connection.request("GET", where.path or "/", headers={"Connection": "close"})
        answer = connection.getresponse()
        said = answer.read(MAX_ANSWER).decode(errors="replace").strip()
        return answer.status == 200, f"{answer.status} {said}"
    except (OSError, HTTPException) as error:
        return False, f"{url} does not answer: {str(error) or type(error).__name__}"
    finally:
        connection.close()


def main(arguments: list[str]) -> int:
    """The exit code."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m shared.runtime.probe http://HOST:PORT/PATH\n")
        return 2
    good, said = probe(arguments[0])
    sys.stdout.write(f"{said}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
