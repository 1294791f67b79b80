"""Faithful blind super-resolution after DCLS (CVPR 2022).

`Upscaler` restores pictures in memory, `upscale_file` and `upscale_files` restore photos into
files, `ModelConfig` describes a network, `DclsError` is what goes wrong on purpose. Importing this
package loads neither torch nor onnxruntime.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dcls_cli.config import ModelConfig
    from dcls_cli.errors import DclsError
    from dcls_cli.upscaler import Upscaler, upscale_file, upscale_files

# ONNX Runtime would write a device id below the user's cache and look up a host of its vendor.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__version__ = "0.1.0"

__all__ = [
    "DclsError",
    "ModelConfig",
    "Upscaler",
    "__version__",
    "upscale_file",
    "upscale_files",
]

_HOMES = {
    "DclsError": "dcls_cli.errors",
    "ModelConfig": "dcls_cli.config",
    "Upscaler": "dcls_cli.upscaler",
    "upscale_file": "dcls_cli.upscaler",
    "upscale_files": "dcls_cli.upscaler",
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return __all__
