"""`dcls doctor`: what is installed, what works, and what to do about the rest."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from dcls_cli.cli import console
from dcls_cli.errors import BackendError

if TYPE_CHECKING:
    from dcls_cli.diagnosis import Diagnosis, Trial


def doctor(
    *,
    json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per line on stdout.")
    ] = False,
) -> None:
    """Show what is installed, and restore one tile on each engine to see what works."""
    from dcls_cli.diagnosis import diagnose

    found = diagnose()
    if json:
        console.event("doctor", usable=found.usable, **asdict(found))
    else:
        print_diagnosis(found)
    if not found.usable:
        raise typer.Exit(BackendError.exit_code)


def print_diagnosis(found: "Diagnosis") -> None:
    """Print the findings, a line each."""
    lines: dict[str, object] = {
        name: version or "not installed" for name, version in found.versions.items()
    }
    lines |= found.devices
    lines["providers"] = ", ".join(found.providers)
    lines["clash"] = found.clash or "none"
    for folder, size in found.caches.items():
        lines[folder] = "empty" if size is None else f"{size / 1e6:.1f} MB"
    lines["hub"] = found.hub
    for trial in found.trials:
        lines[f"engine {trial.engine}"] = in_words(trial)
    width = max(map(len, lines))
    for name, value in lines.items():
        console.say(f"{name:<{width}}  {value}")


def in_words(trial: "Trial") -> str:
    """What became of a tile."""
    from dcls_cli.diagnosis import NO_TORCH

    if trial.problem is not None or trial.seconds is None:
        return trial.problem if trial.problem == NO_TORCH else f"not usable: {trial.problem}"
    text = f"{trial.device} {trial.precision}, a tile in {trial.seconds * 1000:.0f} ms"
    if trial.difference is not None:
        text = f"{text}, at most {trial.difference:.1e} from the other engine"
    return text if trial.note is None else f"{text}; {trial.note}"
