"""The networks of a request: which one restores which photo, each loaded once."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dcls_cli.errors import DclsError, KernelError, UsageError
from dcls_cli.files.atomic import printable
from dcls_cli.jobs.events import Named

if TYPE_CHECKING:
    import numpy as np

    from dcls_cli.backends import Backend
    from dcls_cli.config import ModelConfig
    from dcls_cli.image import Photo
    from dcls_cli.jobs.request import Request

#: The model that leaves the choice to the rule, `models.auto.choose`; what it means to name none.
AUTO = "auto"

DEFAULT_SCALE = 4

#: Finds the weight file of a model by its name or scale, as `hub.find`.
Find = Callable[[str | int], Path]

#: Is given a remark.
Note = Callable[[str], None]


class Networks:
    """Chooses a network for each photo and loads each network once, on one device.

    Attributes:
        config: of the network that was asked for, or of the usual one.
        factor: how many times larger photos become, unless they get a size in pixels.
        device: as it was asked for.
    """

    def __init__(
        self,
        model: str | None,
        weights: Path | None,
        factor: float | None,
        *,
        device: str,
        precision: str,
        engine: str = "auto",
        exact: bool = False,
        find: Find | None = None,
        note: Note | None = None,
    ) -> None:
        """Find the weights that were asked for, without loading them.

        Args:
            model: `auto` or None: by the photo; else a name.
            weights: a file instead.
            factor: how many times larger photos become; None: the scale of the weights, or 4.
            device: see `load_backend`.
            precision: see `load_backend`.
            engine: see `load_backend`.
            exact: whether all networks have one scale, as they must for a user's kernel.
            find: see `Find`; None: without showing a download.
            note: is given what an engine could not use, once; None: it is dropped.

        Raises:
            UsageError: options that contradict each other, or an unknown model.
            WeightsError: there are no such weights, or the file is none.
        """
        self._automatic = weights is None and model in (None, AUTO)
        self._find = find or _find
        self._note = note or (lambda _: None)
        name = None if self._automatic else model
        path, self.config = choose_weights(name, weights, factor, self._find)
        self.factor = factor or float(self.config.scale)
        self._exact = exact
        self._fixed = Named(path, name or path.stem, None)
        self.device, self._precision, self._engine = device, precision, engine
        self._loaded: dict[Path, Backend] = {}
        self._noted: set[str] = set()
        self._digests: dict[Path, str] = {}

    @classmethod
    def of(
        cls, request: "Request", device: str, find: Find | None = None, note: Note | None = None
    ) -> "Networks":
        """The networks of a request on one of its devices; see the constructor."""
        default = request.precision == "auto"
        return cls(
            request.model,
            request.weights,
            request.scale,
            device=device,
            # What is to be evidence is computed as exactly as can be.
            precision="fp32" if request.evidence and default else request.precision,
            engine=request.backend,
            exact=request.kernel is not None,
            find=find,
            note=note,
        )

    @property
    def fixed_name(self) -> str | None:
        """Name of the network of every photo; None where each gets its own."""
        return None if self._automatic else self._fixed.name

    @property
    def usual(self) -> Named:
        """The network that was asked for, or of most photos."""
        return self._fixed

    def choose(self, photo: "Photo", factor: float) -> Named:
        """The network for a photo: the one that was asked for, or what the rule says.

        Args:
            photo: what is to be restored.
            factor: how many times larger it becomes: the network has this scale or the next one
                above, whose result is reduced then.

        Raises:
            WeightsError: the file of the chosen release is missing or damaged.
        """
        if not self._automatic:
            return self._fixed
        from dcls_cli.config import scale_for
        from dcls_cli.models.auto import choose

        scale = self.config.scale if self._exact else scale_for(factor)
        choice = choose(photo, scale, exact=self._exact)
        return Named(self._find(choice.model), choice.model, choice.reason)

    def load(self, named: Named) -> "Backend":
        """The loaded network.

        Raises:
            WeightsError: the file is damaged or of another network.
            BackendError: the device or the precision is not usable here.
        """
        from dcls_cli.backends.loading import load_backend

        if named.weights not in self._loaded:
            backend = load_backend(named.weights, self.device, self._precision, self._engine)
            for text in backend.take_notes():
                if text not in self._noted:  # once a run, however many networks
                    self._note(text)
                    self._noted.add(text)
            self._loaded[named.weights] = backend
        return self._loaded[named.weights]

    def digest(self, named: Named) -> str:
        """SHA-256 of the weight file of a network.

        Raises:
            DclsError: it cannot be read.
        """
        if named.weights not in self._digests:
            self._digests[named.weights] = sha256_of(named.weights)
        return self._digests[named.weights]

    def current(self) -> frozenset[str]:
        """SHA-256 of all weight files that a photo may be restored with.

        Raises:
            DclsError: the file that was asked for cannot be read.
        """
        from dcls_cli.models.releases import RELEASES

        if self._automatic:
            return frozenset(release.sha256 for release in RELEASES)
        return frozenset({self.digest(self._fixed)})


def sha256_of(path: Path) -> str:
    """SHA-256 of a file, hexadecimal.

    Raises:
        DclsError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise DclsError(f"{printable(path)}: cannot be read: {error.strerror}") from error


def choose_weights(
    model: str | None, weights: Path | None, factor: float | None, find: Find | None = None
) -> "tuple[Path, ModelConfig]":
    """Find the weight file and its configuration without loading it.

    Raises:
        UsageError: options that contradict each other, or an unknown model.
        WeightsError: there are no such weights, or the file is none.
    """
    from dcls_cli.config import scale_for
    from dcls_cli.graphs import SUFFIX, graph_info
    from dcls_cli.models.weights import read_metadata

    if model is not None and weights is not None:
        raise UsageError("--model and --weights exclude each other; give one of them")
    usual = DEFAULT_SCALE if factor is None else scale_for(factor)
    path = weights or (find or _find)(model if model is not None else usual)
    config = graph_info(path).config if path.suffix == SUFFIX else read_metadata(path)[0]
    if factor is not None and factor > config.scale:
        name = model or printable(path)
        raise UsageError(
            f"-s {factor:g}: {name} up-scales x{config.scale}; "
            f"give -s {config.scale} or less, or other weights"
        )
    return path, config


def user_kernel(
    request: "Request", config: "ModelConfig", note: Note | None = None
) -> "np.ndarray | None":
    """Read the user's blur for a network.

    Args:
        request: its `kernel` and `kernel_space`.
        config: of the network.
        note: is given what was changed in the blur, a sentence at a time; None: it is dropped.

    Returns:
        (k, k) float32 for the network, or None where the request has none.

    Raises:
        KernelError: it is no kernel, or too wide for the network.
    """
    from dcls_cli.kernels import fit_kernel
    from dcls_cli.kernels.user_kernel import read_kernel

    path = request.kernel
    if path is None:
        return None
    given = read_kernel(path, request.kernel_space)
    try:
        fitted = fit_kernel(given, config)
    except KernelError as error:
        raise KernelError(f"{printable(path)}: {error}") from error
    if note is not None:
        for text in fitted.notes:
            note(f"{path}: {text}")
    return fitted.kernel


def _find(model: str | int) -> Path:
    from dcls_cli.models.hub import find

    return find(model)
