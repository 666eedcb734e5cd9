"""The files of `deploy/`, read as values."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import attrs
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"


@attrs.frozen
class Image:
    """
    What `deploy/Containerfile` makes of its last stage.

    Attributes:
        instructions: All instructions, as pairs of their name and their text.
    """

    instructions: tuple[tuple[str, str], ...]

    @classmethod
    def read(cls) -> Image:
        """Read the file: comments are left out, continued lines joined."""
        text = (DEPLOY / "Containerfile").read_text(encoding="utf-8")
        lines = re.sub(r" *\\\n *", " ", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE)).splitlines()
        return cls(tuple((line.partition(" ")[0], line.partition(" ")[2]) for line in lines if line))

    def of(self, name: str) -> list[str]:
        """The texts of all instructions of a name."""
        return [text for instruction, text in self.instructions if instruction == name]

    @property
    def entrypoint(self) -> list[str]:
        """The program."""
        return list(json.loads(self.of("ENTRYPOINT")[-1]))

    @property
    def command(self) -> list[str]:
        """Its arguments, unless others are given."""
        return list(json.loads(self.of("CMD")[-1]))

    @property
    def health_check(self) -> list[str]:
        """The command that tells whether the container is well."""
        return list(json.loads(self.of("HEALTHCHECK")[-1].partition("CMD ")[2]))

    @property
    def environment(self) -> dict[str, str]:
        """The variables that it sets."""
        return dict(pair.split("=", 1) for pair in self.of("ENV")[-1].split())


def compose() -> dict[str, Any]:
    """`deploy/compose.yaml`."""
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8")))


def kubernetes() -> dict[str, Any]:
    """The objects of `deploy/kubernetes.yaml`, by kind."""
    documents = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8"))
    return {document["kind"]: document for document in documents}
