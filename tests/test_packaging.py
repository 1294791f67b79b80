"""What an installation brings: pinned packages, a light import, the weights, the example."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

import dcls_cli
from tests import oracle

ROOT = Path(__file__).resolve().parent.parent


#: The first needs a torchvision that was built for the very torch that is installed; the second is
#: for Google's store, which no test reaches.
NOT_INSTALLED_FOR_TESTS = {"spandrel", "gcsfs"}


def project() -> dict[str, object]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        table: dict[str, object] = tomllib.load(file)["project"]
    return table


def direct_requirements() -> list[Requirement]:
    table = project()
    extras = table["optional-dependencies"]
    lines = [*table["dependencies"], *(line for extra in extras.values() for line in extra)]
    return [Requirement(line) for line in lines]


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pairs}


def needed() -> dict[str, str]:
    """Names and installed versions of all packages that the project needs here."""
    found: dict[str, str] = {}
    waiting = direct_requirements()
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        if name in found or not applies:
            continue
        try:
            distribution = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            if name in NOT_INSTALLED_FOR_TESTS:
                continue
            raise
        found[name] = distribution.version.partition("+")[0]
        waiting += [Requirement(line) for line in distribution.requires or ()]
    return found


def test_every_package_is_pinned_to_the_version_under_test() -> None:
    pinned = pins()
    assert {name: pinned.get(name) for name in needed()} == needed()


def test_every_pin_is_within_the_declared_range() -> None:
    pinned = pins()
    for requirement in direct_requirements():
        assert requirement.specifier.contains(pinned[canonicalize_name(requirement.name)])


def test_each_dependency_says_what_it_is_for() -> None:
    text = (ROOT / "pyproject.toml").read_text()
    for requirement in direct_requirements():
        name = rf"{requirement.name}(\[[\w,]+\])?"
        assert re.search(rf'^    "{name}>=[^"]+", +# \w', text, re.MULTILINE)


@pytest.mark.parametrize(
    ("system", "machine", "wheel"),
    [
        ("linux", "x86_64", "onnxruntime-gpu"),
        ("linux", "aarch64", "onnxruntime"),
        ("win32", "AMD64", "onnxruntime-gpu"),
        ("win32", "ARM64", "onnxruntime"),
        ("darwin", "arm64", "onnxruntime"),
        ("darwin", "x86_64", "onnxruntime"),
    ],
)
def test_one_wheel_of_onnx_runtime_for_each_machine(system: str, machine: str, wheel: str) -> None:
    here = {"sys_platform": system, "platform_machine": machine}
    table = project()
    needed = [Requirement(line) for line in table["dependencies"]]
    applies = [item for item in needed if item.marker is None or item.marker.evaluate(here)]
    assert [item.name for item in applies if item.name.startswith("onnxruntime")] == [wheel]
    (libraries,) = map(Requirement, table["optional-dependencies"]["cuda"])
    assert libraries.marker is not None
    assert libraries.marker.evaluate(here) == (wheel == "onnxruntime-gpu")


def test_the_small_wheel_comes_with_all_that_the_base_needs() -> None:
    """The line of the guide; that it installs and restores was tried by hand."""
    page = (ROOT / "docs" / "guide-administrator.md").read_text(encoding="utf-8")
    line = re.search(r"^pip install -c constraints\.txt (onnxruntime .+)$", page, re.MULTILINE)
    assert line is not None
    base = {Requirement(text).name for text in project()["dependencies"]}
    assert set(line[1].split()) == base - {"onnxruntime-gpu"}


def test_importing_the_package_is_light() -> None:
    code = "import dcls_cli, sys; print({'torch', 'onnxruntime', 'numpy'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "set()"


def test_the_public_names() -> None:
    names = ["DclsError", "ModelConfig", "Upscaler", "__version__", "upscale_file", "upscale_files"]
    assert sorted(dir(dcls_cli)) == names
    for name in dir(dcls_cli):
        assert getattr(dcls_cli, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'Upscaller'"):
        _ = dcls_cli.Upscaller


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What a build reads."""
    copy = tmp_path / "checkout"
    shutil.copytree(
        ROOT / "dcls_cli", copy / "dcls_cli", ignore=shutil.ignore_patterns("__pycache__")
    )
    for name in ("pyproject.toml", "hatch_build.py", "LICENSE"):
        shutil.copy(ROOT / name, copy)
    (copy / "README.md").write_text("# dcls\n")
    return copy


def build_wheel(checkout: Path) -> zipfile.ZipFile:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", "dist"]
    subprocess.run(command, cwd=checkout, check=True, capture_output=True)
    (wheel,) = (checkout / "dist").iterdir()
    return zipfile.ZipFile(wheel)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_the_wheel_has_the_weights_and_no_other_top_level_folder(
    checkout: Path, count: int
) -> None:
    names = ["dcls-test-x4.safetensors", "dcls-test-x4-restorer.onnx"][:count]
    if count:
        (checkout / "weights").mkdir()
        for name in [*names, "README.md"]:
            (checkout / "weights" / name).write_bytes(name.encode())
    with build_wheel(checkout) as wheel:
        files = wheel.namelist()
        assert {name.partition("/")[0] for name in files} == {
            "dcls_cli",
            f"dcls_cli-{dcls_cli.__version__}.dist-info",
        }
        carried = [name for name in files if name.startswith("dcls_cli/_weights/")]
        assert sorted(carried) == sorted(f"dcls_cli/_weights/{name}" for name in names)
        for name in carried:
            assert wheel.read(name).decode() == Path(name).name
        (entry,) = (name for name in files if name.endswith("entry_points.txt"))
        assert "dcls = dcls_cli.cli:main" in wheel.read(entry).decode()
        (licence,) = (name for name in files if name.endswith("licenses/LICENSE"))
        assert "Copyright (c) 2022 Megvii Inc." in wheel.read(licence).decode()
        package = (path for path in (ROOT / "dcls_cli").rglob("*") if path.is_file())
        contents = {str(path.relative_to(ROOT)) for path in package if path.suffix != ".pyc"}
        assert "dcls_cli/reports/evidence.html" in contents  # not modules only
        assert contents <= set(files)


CONSUMER = """
import numpy as np
from PIL import Image

from dcls_cli import DclsError, ModelConfig, Upscaler


def enlarge(picture: Image.Image) -> tuple[Image.Image, float]:
    upscaler: Upscaler = Upscaler.from_pretrained("dcls-light-x4")
    config: ModelConfig = upscaler.backend.config
    try:
        result = upscaler.up(picture)
    except DclsError as error:
        raise SystemExit(error.exit_code) from error
    samples: np.ndarray = upscaler.up(np.zeros((8, 8, 3), np.uint8)).image
    assert samples.shape[0] == 8 * config.scale
    return result.image, result.kernel_width_px
"""


@pytest.mark.slow
def test_programs_that_use_the_package_can_check_their_types(
    checkout: Path, tmp_path: Path
) -> None:
    """The wheel alone, far from the checkout: without `py.typed` mypy would see no types."""
    with build_wheel(checkout) as wheel:
        wheel.extractall(tmp_path / "site")
    program = tmp_path / "consumer.py"
    program.write_text(CONSUMER)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", program],
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": "", "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_the_wheel_installs_the_man_page(checkout: Path) -> None:
    (checkout / "docs").mkdir()
    shutil.copy(ROOT / "docs" / "dcls.1", checkout / "docs")
    with build_wheel(checkout) as wheel:
        (name,) = (name for name in wheel.namelist() if name.endswith("/share/man/man1/dcls.1"))
        assert name.startswith(f"dcls_cli-{dcls_cli.__version__}.data/data/")
        assert wheel.read(name) == (ROOT / "docs" / "dcls.1").read_bytes()


def test_what_pypi_shows_leads_somewhere(checkout: Path) -> None:
    """With an address of the repository every link is whole; without one there are no links."""
    page = "![a dog](docs/dog.png) and [a page](docs/formats.md#png), [here](#there), "
    page += "[elsewhere](https://example.org/x)"
    (checkout / "README.md").write_text(page)

    def metadata_of() -> str:
        with build_wheel(checkout) as wheel:
            (name,) = (name for name in wheel.namelist() if name.endswith("/METADATA"))
            return wheel.read(name).decode()

    bare = metadata_of()
    assert "a dog and a page, [here](#there), [elsewhere](https://example.org/x)" in bare
    assert "Project-URL: Paper, https://arxiv.org/abs/2202.07508" in bare
    assert "Name: dcls-cli" in bare
    settings = checkout / "pyproject.toml"
    address = "https://example.org/dcls"
    settings.write_text(
        settings.read_text().replace('repository = ""', f'repository = "{address}/"')
    )
    for file in (checkout / "dist").iterdir():
        file.unlink()
    full = metadata_of()
    assert f"![a dog]({address}/raw/main/docs/dog.png)" in full
    assert f"[a page]({address}/blob/main/docs/formats.md#png)" in full
    assert f"Project-URL: Source, {address}" in full


def test_the_example_is_what_its_page_says() -> None:
    """Sigma 2.2, bicubic to a quarter, 8 bits: within one level of the independent oracle."""
    original = np.asarray(Image.open(ROOT / "examples" / "dog-original.png")) / 255
    example = np.asarray(Image.open(ROOT / "examples" / "dog.png")).astype(int)
    expected = oracle.q8(oracle.imresize(oracle.blur(original, 2.2), 0.25)) * 255
    assert np.abs(example - np.rint(expected)).max() <= 1
