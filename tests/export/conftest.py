"""Small networks as weight files, and their graphs, each exported once: an export takes seconds."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from dcls_cli.config import ModelConfig
from dcls_cli.export import ExportOptions, ExportReport, export
from dcls_cli.models import weights
from dcls_cli.network.dcls import DCLS

#: Everything that the released networks have, as small as it goes.
CONFIG = ModelConfig.photo(
    2, features=16, groups=1, blocks=1, latent=8, estimator_features=16, estimator_blocks=1,
    kernel_size=11,
)  # fmt: skip


CALIBRATION = Path(__file__).resolve().parents[2] / "export" / "calibration"


@dataclass(frozen=True)
class Exported:
    """Graphs with the network that they were made from."""

    network: DCLS
    weights: Path
    report: ExportReport

    @property
    def paths(self) -> list[Path]:
        return [graph.path for graph in self.report.graphs]


@pytest.fixture(scope="session")
def weight_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    weights.write(DCLS(CONFIG), path, {"validation_psnr_y_db": "12.345"})
    return path


def exported(weight_file: Path, folder: Path, options: ExportOptions) -> Exported:
    report = export(weight_file, folder / "tiny.onnx", options)
    return Exported(weights.load(weight_file), weight_file, report)


@pytest.fixture(scope="session")
def fused(weight_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """For any size: in matrix products, without being asked."""
    options = ExportOptions(shape=(None, None))
    return exported(weight_file, tmp_path_factory.mktemp("fused"), options)


@pytest.fixture(scope="session")
def standard(weight_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """For one size, with DFT operators: what `dcls export-onnx` writes without options."""
    return exported(weight_file, tmp_path_factory.mktemp("standard"), ExportOptions())


@pytest.fixture(scope="session")
def split(weight_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Halves, in matrix products, and a restorer in int8."""
    options = ExportOptions(fft="matmul", split=True, int8=CALIBRATION)
    return exported(weight_file, tmp_path_factory.mktemp("split"), options)
