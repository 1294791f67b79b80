"""Networks that are built for the shapes of their parameters alone."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

#: What draws initial values.
_DRAWS = frozenset(
    {
        Tensor.normal_,
        Tensor.uniform_,
        nn.init.kaiming_normal_,
        nn.init.kaiming_uniform_,
        nn.init.normal_,
        nn.init.uniform_,
    }
)


class _ShapesOnly(TorchFunctionMode):
    """Makes empty tensors, as those of layers are, on the meta device and draws nothing."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - of any function of PyTorch
        given = dict(kwargs or {})
        if func in _DRAWS:
            return args[0] if args else given["tensor"]
        if func is torch.empty:
            given["device"] = "meta"
        return func(*args, **given)


def shapes_only() -> AbstractContextManager[object]:
    """Build modules whose parameters take no memory; tables that are computed are computed.

    `torch.device("meta")` does that for all tensors, but for some it loads PyTorch's compiler,
    which takes longer than all the rest of a start.
    """
    return _ShapesOnly()
