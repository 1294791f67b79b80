"""Weights on the Hugging Face Hub: name, find, download, check, publish.

A model is found in the installation first, then in the cache, and only then on the network. What
the Hub says is never trusted: released files must have the SHA-256 of the registry, others the one
that the Hub states and their own. huggingface_hub gives the names, the credentials, the metadata
and the layout of the cache; the transfer is in `transfer`, because its own can wait without end
and checks the length alone.
"""

from dcls_cli.models.hub.cache import (
    Cached,
    HubFile,
    cached_weights,
    is_hub_name,
    look_up,
    parse_hub_name,
    remove,
)
from dcls_cli.models.hub.resolving import check_cached, find, find_local, hub_file
from dcls_cli.models.hub.transfer import SILENT, Listener

__all__ = [
    "SILENT",
    "Cached",
    "HubFile",
    "Listener",
    "cached_weights",
    "check_cached",
    "find",
    "find_local",
    "hub_file",
    "is_hub_name",
    "look_up",
    "parse_hub_name",
    "remove",
]
