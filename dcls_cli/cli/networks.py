"""The networks of one command line: which one restores which photo, each loaded once."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dcls_cli.cli import console
from dcls_cli.cli.downloads import choose_weights

if TYPE_CHECKING:
    from dcls_cli.backends import Backend
    from dcls_cli.image import Photo

#: The value of `--model` that leaves the choice to `choice.choose`; what it means to give none.
AUTO = "auto"


class Named(NamedTuple):
    """A network that a photo is to be restored with.

    Attributes:
        weights: its file.
        name: for people to read.
        reason: why the rule chose it; None where the user did.
    """

    weights: Path
    name: str
    reason: str | None


class Networks:
    """Chooses a network for each photo and loads each network once.

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

        Raises:
            UsageError: options that contradict each other, or an unknown model.
            WeightsError: there are no such weights, or the file is none.
        """
        self._automatic = weights is None and model in (None, AUTO)
        name = None if self._automatic else model
        path, self.config = choose_weights(name, weights, factor)
        self.factor = factor or float(self.config.scale)
        self._exact = exact
        self._fixed = Named(path, name or path.stem, None)
        self.device, self._precision, self._engine = device, precision, engine
        self._loaded: dict[Path, Backend] = {}
        self._explained: set[str] = set()
        self._told: set[str] = set()

    @property
    def fixed_name(self) -> str | None:
        """Name of the network of every photo; None where each gets its own."""
        return None if self._automatic else self._fixed.name

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
        from dcls_cli.choice import choose
        from dcls_cli.config import scale_for
        from dcls_cli.hub import find

        scale = self.config.scale if self._exact else scale_for(factor)
        choice = choose(photo, scale, exact=self._exact)
        return Named(find(choice.model), choice.model, choice.reason)

    def explain(self, photo: Path, named: Named) -> None:
        """Say why `auto` chose a network, for the first photo that gets it."""
        if named.reason is not None and named.name not in self._explained:
            self._explained.add(named.name)
            console.note(f"{photo}: {named.name}, because {named.reason}")

    def load(self, named: Named) -> "Backend":
        """The loaded network.

        Raises:
            WeightsError: the file is damaged or of another network.
            BackendError: the device or the precision is not usable here.
        """
        from dcls_cli.backends.loading import load_backend

        if named.weights not in self._loaded:
            backend = load_backend(named.weights, self.device, self._precision, self._engine)
            for note in backend.take_notes():
                if note not in self._told:  # one line a run, however many networks
                    console.note(note)
                    self._told.add(note)
            self._loaded[named.weights] = backend
        return self._loaded[named.weights]
