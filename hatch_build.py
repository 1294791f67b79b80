"""What a distribution gets from the checkout: weights, graphs, example, man page, PyPI's page.

A checkout reads the folders themselves, so an editable install gets no copy that could grow
stale.
"""

import re
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

#: A link or a picture of README whose target is a file of the checkout.
_RELATIVE = re.compile(r"(!?)\[([^\]]*)\]\((?!https?://|#)([^)\s]+)\)")


class ReleasedWeights(BuildHookInterface[Any]):
    """Adds weights, graphs, example and man page to a wheel that is installed elsewhere."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files before hatchling collects the package."""
        if version == "editable":
            return
        weights = Path(self.root, "weights")
        for file in sorted([*weights.glob("*.safetensors"), *weights.glob("*.onnx")]):
            build_data["force_include"][str(file)] = f"dcls_cli/_weights/{file.name}"
        example = Path(self.root, "examples", "dog.png")
        if example.is_file():
            build_data["force_include"][str(example)] = f"dcls_cli/_examples/{example.name}"
        manual = Path(self.root, "docs", "dcls.1")
        if manual.is_file() and self.target_name == "wheel":
            build_data["shared_data"][str(manual)] = f"share/man/man1/{manual.name}"


class Description(MetadataHookInterface):
    """README and project URLs for a reader who does not have the checkout.

    Both come from the address of the repository, `repository` in pyproject.toml. While it is empty,
    there is no page to link to: links become plain text and pictures their descriptions.
    """

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in what pyproject.toml declares as dynamic."""
        repository = str(self.config["repository"]).rstrip("/")
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {
            "content-type": "text/markdown",
            "text": absolute_links(text, repository),
        }
        metadata["urls"] = {"Paper": "https://arxiv.org/abs/2202.07508"}
        if repository:
            metadata["urls"] |= {
                "Source": repository,
                "Issues": f"{repository}/issues",
                "Changelog": f"{repository}/blob/main/CHANGELOG.md",
                "Documentation": f"{repository}/tree/main/docs",
            }


def absolute_links(text: str, repository: str) -> str:
    """Markdown whose relative links and pictures lead into a repository, or nowhere.

    Args:
        text: of README.
        repository: its address; empty: there is none.
    """

    def link(match: re.Match[str]) -> str:
        picture, words, target = match.groups()
        if not repository:
            return words
        return f"{picture}[{words}]({repository}/{'raw' if picture else 'blob'}/main/{target})"

    return _RELATIVE.sub(link, text)
