"""`dcls weights`: convert the authors' files, show what a file holds."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from dcls_cli.cli import commands, console

weights = typer.Typer(
    cls=commands.Group, help="Convert and show weight files.", rich_markup_mode=None
)

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object per line on stdout.")]


@weights.command(
    cls=commands.Command, epilog="dcls weights convert DCLSx4_setting1.pth -o dclsx4.safetensors"
)
def convert(
    source: Annotated[Path, typer.Argument(metavar="AUTHORS.pth", help="The authors' file.")],
    output: Annotated[
        Path, typer.Option("-o", "--output", metavar="FILE.safetensors", help="The file to write.")
    ],
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing output.")
    ] = False,
    kernel_norm: Annotated[
        Literal["sum", "softmax"] | None,
        typer.Option(
            help="Normalisation of the kernel, which the tensors do not show. "
            "[default: softmax for 11 taps, else sum]"
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Convert the authors' weights; scale and size of the network are read from the tensors."""
    from dcls_cli.errors import UsageError

    if output.suffix != ".safetensors":
        raise UsageError(f"{output}: the output of a conversion must end in .safetensors")
    from dcls_cli.models import official
    from dcls_cli.models.weights import read_metadata

    official.convert(source, output, overwrite=overwrite, kernel_norm=kernel_norm)
    config, _ = read_metadata(output)
    if json:
        console.event("done", input=str(source), output=str(output), scale=config.scale)
    else:
        console.say(
            f"{output}: x{config.scale}, kernel {config.kernel_size}, {config.features} features, "
            f"{config.groups} groups of {config.blocks} blocks"
        )


@weights.command(cls=commands.Command, epilog="dcls weights show run/best.safetensors")
def show(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A weight file of dcls.")],
    json: Json = False,
) -> None:
    """Show the configuration and the metadata of a weight file, after checking all of it."""
    from dataclasses import asdict

    from dcls_cli.models.weights import CONFIG_KEY, examine

    config, found, parameters = examine(file)
    metadata = {name: text for name, text in found.items() if name != CONFIG_KEY}
    if json:
        console.event(
            "weights",
            file=str(file),
            parameters=parameters,
            config=asdict(config),
            metadata=metadata,
        )
        return
    lines = {"file": file, "parameters": f"{parameters:,}", **asdict(config), **metadata}
    width = max(map(len, lines))
    for name, value in lines.items():
        console.say(f"{name:<{width}}  {value}")
