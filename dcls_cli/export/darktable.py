"""A `.dtmodel`: the released networks as darktable, from 5.6 on, imports them for its up-scaling.

A zip with one folder, whose name is the id: `config.json`, `model_x2.onnx`, `model_x4.onnx`. Each
graph takes one picture of any size and gives one, clipped. darktable runs it tile by tile, so each
tile has a blur of its own.
"""

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from onnx import helper, numpy_helper

from dcls_cli import __version__
from dcls_cli.config import Scale
from dcls_cli.errors import DclsError
from dcls_cli.export import ExportedGraph, ExportReport, check_output, export
from dcls_cli.export.options import ExportOptions
from dcls_cli.export.parity import Parity
from dcls_cli.files.atomic import write_bytes
from dcls_cli.graphs import read_graph, stamp
from dcls_cli.models.releases import Release, location, photo_release, release

ID = "upscale-dcls"

#: The factors that darktable offers.
SCALES: tuple[Scale, ...] = (2, 4)

#: Sides of tiles, the best first: a larger one shows more of its blur.
TILES_PX = (512, 384, 256, 192)

#: No file of a package has another date, so that the same networks make the same package.
_DATE = (1980, 1, 1, 0, 0, 0)


def network_for(scale: Scale) -> Release:
    """The release for photographs of a scale, or else the usual one."""
    return photo_release(scale, exact=True) or release(scale)


def export_darktable(
    output: Path, options: ExportOptions, *, verify: bool = True, overwrite: bool = False
) -> ExportReport:
    """Write FILE.dtmodel; of the options, precision and operator set are used; see `export`.

    Raises:
        ExportError: a graph cannot be made or differs from its network.
        DclsError: the file exists already or cannot be written.
    """
    check_output(output, overwrite=overwrite)
    # Of free sides `auto` is always this; darktable sets the sides by these very names.
    options = replace(options, fft="matmul", shape=(None, None), split=False, int8=None)
    files = {"config.json": (json.dumps(config(), indent=2) + "\n").encode()}
    graphs: list[ExportedGraph] = []
    parity: list[Parity] = []
    with TemporaryDirectory() as folder:
        for scale in SCALES:
            path = Path(folder) / f"model_x{scale}.onnx"
            report = export(location(network_for(scale)), path, options, verify=verify)
            files[path.name] = content = _picture_alone(path)
            inside = output / ID / path.name
            graphs.append(replace(report.graphs[0], path=inside, size=len(content)))
            parity += report.parity
    try:
        write_bytes(_zipped(files), output, overwrite=overwrite)
    except OSError as error:
        raise DclsError(f"{output}: not written: {error.strerror}") from error
    return ExportReport(tuple(graphs), tuple(parity))


def config() -> dict[str, object]:
    """What `config.json` says."""
    networks = {scale: network_for(scale) for scale in SCALES}
    names = ", ".join(f"{item.name} for {scale}x" for scale, item in networks.items())
    return {
        "id": ID,
        "name": "upscale dcls",
        "description": "DCLS 2x and 4x: inverts the blur of the picture and invents no detail",
        "task": "upscale",
        "arch": "dcls",
        "backend": "onnx",
        "version": ".".join(__version__.split(".")[:2]),
        "tiling": True,
        "attributes": {"input_sizes": list(TILES_PX)},
        "model_card": {
            "scope": "image upscaling (2x and 4x)",
            "author": "dcls",
            "paper": "https://arxiv.org/abs/2202.07508",
            "license": networks[4].licence,
            "training_data": networks[4].trained_on,
            "notes": f"{names}. Each tile has a blur estimate of its own",
        },
    }


def _picture_alone(path: Path) -> bytes:
    """A fused graph without the kernel, and clipped to [0, 1], which darktable does not do."""
    content, info = read_graph(path)
    model = onnx.load_model_from_string(content)
    graph = model.graph
    for name, value in (("darkest", 0), ("brightest", 1)):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.float32), name))
    graph.node.append(helper.make_node("Clip", ["sr", "darkest", "brightest"], ["picture"]))
    del graph.output[1:]
    graph.output[0].name = "picture"
    onnx.checker.check_model(model, full_check=True)
    return stamp(model, info)


def _zipped(files: dict[str, bytes]) -> bytes:
    """The package of these files."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in files.items():
            entry = zipfile.ZipInfo(f"{ID}/{name}", _DATE)
            entry.compress_type = zipfile.ZIP_DEFLATED
            package.writestr(entry, content)
    return memory.getvalue()
