"""Labels and annotations: how Kubernetes lets their keys and values be spelt."""

NAME = r"([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)"
LABEL_KEY = rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{NAME}"
"""Of annotations too."""
LABEL_VALUE = f"{NAME}?"
"""Of labels only; those of annotations are any text."""
