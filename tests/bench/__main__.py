"""`python -m tests.bench NAME`: benchmarks that print one line a figure, `name: value unit`."""

import sys

from tests.bench import admission, intake, kubernetes, scanner, way, workers

BENCHES = {
    "admission": admission.main,
    "way": way.main,
    "intake": intake.main,
    "scanner": scanner.main,
    "workers": workers.main,
    "kubernetes": kubernetes.main,
}


def main() -> int:
    """Run the benchmarks that are named, or all of them."""
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in BENCHES]
    if unknown:
        sys.stderr.write(f"no benchmark {unknown[0]!r}; there are: {', '.join(BENCHES)}\n")
        return 2
    for name in names:
        BENCHES[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
