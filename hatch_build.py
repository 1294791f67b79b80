"""Put the released weights into the wheel as `dcls_cli/_weights/`, the example as `_examples/`.

A checkout reads the folders themselves, so an editable install gets no copy that could grow
stale.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class ReleasedWeights(BuildHookInterface[Any]):
    """Adds weights, graphs and the example to a wheel that is to be installed elsewhere."""

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
