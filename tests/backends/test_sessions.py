"""Devices of ONNX Runtime: their options, and the reason why one is not available."""

import os
import sys
import threading
from pathlib import Path

import onnxruntime
import pytest

from dcls_cli.backends import sessions, wheels
from dcls_cli.backends.loading import load_backend
from dcls_cli.backends.onnx_runtime import OnnxBackend
from dcls_cli.errors import BackendError, OutOfMemoryError
from dcls_cli.models.releases import location, release

LIGHT = location(release("dcls-light-x4"))

CPU, CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"

HAS_CUDA = CUDA in onnxruntime.get_available_providers()

#: The wheel that is installed, by pip's records.
INSTALLED = [*wheels.installed_wheels(), "none"][0]


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A wheel's metadata, as pip leaves them."""
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(folder))


class Session:
    """A session that says that TensorRT runs it."""

    def get_providers(self) -> list[str]:
        return [sessions.PROVIDERS["tensorrt"]]


NO_CUDA = pytest.mark.skipif(HAS_CUDA, reason="another test has the wheel for GPUs")


@pytest.mark.parametrize(
    ("device", "what_to_do"),
    [
        pytest.param("cuda", r"pip install 'onnxruntime-gpu\[cuda,cudnn\]'", marks=NO_CUDA),
        pytest.param("cuda:1", r"pip install 'onnxruntime-gpu\[cuda,cudnn\]'", marks=NO_CUDA),
        pytest.param("tensorrt", r"pip install 'onnxruntime-gpu\[cuda,cudnn\]'", marks=NO_CUDA),
        ("directml", f"on Windows pip uninstall -y {INSTALLED}, .* install onnxruntime-directml"),
        ("coreml", "the wheels for macOS have it"),
    ],
)
def test_a_device_that_is_named_is_used_or_the_command_fails(device: str, what_to_do: str) -> None:
    with pytest.raises(BackendError, match=f"'{device}' .* {INSTALLED} has no .*{what_to_do}"):
        load_backend(LIGHT, device, "auto", "onnx")
    if not device.startswith("cuda"):  # which PyTorch has as well
        with pytest.raises(BackendError, match=f"'{device}' is not usable: {INSTALLED} has no"):
            load_backend(LIGHT, device)


def test_two_wheels_at_once_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert wheels.clash() is None
    install(tmp_path, monkeypatch, "onnxruntime" if HAS_CUDA else "onnxruntime-gpu")
    both = "onnxruntime and onnxruntime-gpu are installed at once and overwrite each other: pip"
    with pytest.raises(BackendError, match=f"'directml' is not usable: {both}"):
        load_backend(LIGHT, "directml")


def test_files_of_another_wheel_than_pip_knows_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left where one wheel was put over the other by a program that keeps no records."""
    other = "onnxruntime" if HAS_CUDA else "onnxruntime-gpu"
    monkeypatch.setattr("onnxruntime.capi.build_and_package_info.package_name", other)
    told = f"{INSTALLED} is installed, but its files are those of {other}: pip uninstall -y"
    assert str(wheels.clash()).startswith(told)


def session_of(*used: str) -> sessions.Opener:
    """What ONNX Runtime opens where the library of a provider does not load."""

    class Session:
        def get_providers(self) -> list[str]:
            return list(used)

    return lambda _: Session()  # type: ignore[return-value]


@pytest.fixture
def gpu_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """As if ONNX Runtime were that for CUDA; the folder of its libraries."""
    monkeypatch.setattr(sessions, "available_providers", lambda: [CUDA, CPU])
    monkeypatch.setattr(wheels, "has_nvidia_driver", lambda: True)
    monkeypatch.setattr(wheels, "has_nvidia_gpu", lambda: True)
    libraries = tmp_path / "onnxruntime" / "capi"
    libraries.mkdir(parents=True)
    monkeypatch.setattr(onnxruntime, "__file__", str(libraries.parent / "__init__.py"))
    return libraries


def test_a_missing_library_is_named(gpu_wheel: Path) -> None:
    library = gpu_wheel / "libonnxruntime_providers_cuda.so"
    library.write_bytes(b"not a library")
    told = f"'cuda' is not usable: a library is missing: .*{library}: .*; pip install"
    with pytest.raises(BackendError, match=told):
        sessions.open_session("cuda", session_of(CPU))


def test_what_the_driver_says_is_told(gpu_wheel: Path) -> None:
    """A number that no GPU has: ONNX Runtime refuses to make the provider."""

    def refuse(_: list[object]) -> onnxruntime.InferenceSession:
        raise BackendError("ONNX Runtime cannot load the graph: CUDA failure 101")

    with pytest.raises(BackendError, match="'cuda:7' is not usable: .*CUDA failure 101; use --dev"):
        sessions.open_session("cuda:7", refuse)
    with pytest.raises(BackendError, match="^ONNX Runtime cannot load the graph: CUDA failure 101"):
        sessions.open_session("cpu", refuse)


def test_auto_tries_a_gpu_that_may_be_there_and_then_the_cpu(gpu_wheel: Path) -> None:
    assert sessions.device_candidates("auto") == ["cuda", "cpu"]
    assert sessions.open_session("cuda", session_of(CUDA, CPU)).get_providers()[0] == CUDA


def test_auto_takes_no_device_that_nobody_has_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wheels for macOS and DirectML have providers whose fp32 is perhaps none."""
    built_in = [sessions.PROVIDERS[name] for name in ("coreml", "directml", "cpu")]
    monkeypatch.setattr(sessions, "available_providers", lambda: built_in)
    assert sessions.device_candidates("auto") == ["cpu"]
    assert sessions.device_candidates("coreml") == ["coreml"]


@pytest.mark.parametrize(
    ("device", "lanes"),
    [("cpu", 1), ("cuda:1", 2), ("tensorrt", 1), ("directml", 1), ("coreml", 1)],
)
def test_one_run_at_a_time_where_a_provider_demands_it(device: str, lanes: int) -> None:
    backend = OnnxBackend.__new__(OnnxBackend)
    backend._device = device
    assert backend.lanes == lanes


def test_events_about_the_program_are_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    monkeypatch.setattr(onnxruntime, "disable_telemetry_events", lambda: calls.append("off"))
    content = LIGHT.with_name("dcls-light-x4-estimator.onnx").read_bytes()
    sessions.start_session(content, [CPU])
    assert calls == ["off"]


def test_a_missing_runtime_of_visual_c_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Finder:
        @staticmethod
        def find_spec(name: str, *_: object) -> None:
            if name == "onnxruntime":
                raise ImportError("DLL load failed while importing onnxruntime_pybind11_state")

    monkeypatch.delitem(sys.modules, "onnxruntime")
    monkeypatch.setattr(sys, "meta_path", [Finder, *sys.meta_path])
    with pytest.raises(BackendError, match="DLL load failed .*; install Microsoft's Visual C"):
        wheels.module()


def test_onnx_runtime_itself_never_goes_on_with_another_provider(
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Its own fallback prints on stdout and takes the CPU, without our knowing at run time."""
    with pytest.raises(BackendError, match="^ONNX Runtime cannot load the graph: [^/]*$"):
        sessions.start_session(b"no graph", [CPU])
    content = LIGHT.with_name("dcls-light-x4-estimator.onnx").read_bytes()
    assert sessions.start_session(content, [CPU])._enable_fallback is False
    assert capfd.readouterr() == ("", "")


def test_options_of_providers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cuda = sessions.provider_options("cuda", 1)
    assert (cuda["device_id"], cuda["cudnn_conv_algo_search"]) == ("1", "HEURISTIC")
    assert cuda["use_tf32"] == "0"
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tensorrt = sessions.provider_options("tensorrt", 2)
    folder = tmp_path / "cache" / "dcls" / "tensorrt"
    assert folder.is_dir()
    assert tensorrt == {
        "device_id": "2",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(folder),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(folder),
    }
    assert list(folder.iterdir()) == []
    assert sessions.provider_options("directml", 3) == {"device_id": "3"}
    assert sessions.provider_options("cpu", 0) == sessions.provider_options("coreml", 0) == {}


@pytest.mark.parametrize(("set_before", "expected"), [(None, "0"), ("1", "1")])
def test_tensorrt_computes_fp32_in_fp32_unless_the_user_wants_less(
    set_before: str | None, expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "unset")  # so that it is put back afterwards
    if set_before is None:
        monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    else:
        monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", set_before)
    monkeypatch.setattr(sessions, "available_providers", lambda: list(sessions.PROVIDERS.values()))
    monkeypatch.setattr(wheels, "has_nvidia_gpu", lambda: True)
    monkeypatch.setattr(wheels, "load_libraries", lambda: None)
    found: list[str | None] = []

    def opened(providers: list[object]) -> Session:
        found.append(os.environ.get("NVIDIA_TF32_OVERRIDE"))
        return Session()

    sessions.open_session("tensorrt", opened)  # type: ignore[arg-type]
    assert found == [expected]


@pytest.mark.parametrize(
    "text",
    [
        "Non-zero status code returned while running Conv node. CUDNN failure 4: "
        "CUDNN_STATUS_ALLOC_FAILED ; GPU=0",
        "CUBLAS failure 3: CUBLAS_STATUS_ALLOC_FAILED ; GPU=0",
    ],
)
def test_memory_that_a_library_lacks_leads_to_smaller_tiles(text: str) -> None:
    with pytest.raises(OutOfMemoryError), sessions.translated_memory_errors((1, 3, 8, 8)):
        raise RuntimeError(text)


def test_a_cache_that_cannot_be_written_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "dcls").write_bytes(b"a file")
    with pytest.raises(BackendError, match="TensorRT's engines cannot be kept there: Not a direct"):
        sessions.provider_options("tensorrt", 0)


def test_devices_that_are_unknown() -> None:
    for device in ("gpu", "cpu:1", "cuda:", "coreml:0"):
        with pytest.raises(BackendError, match=f"unknown device '{device}'"):
            sessions.parse_device(device)
    assert sessions.parse_device("tensorrt:12") == ("tensorrt", 12)


@pytest.mark.parametrize(
    "place",
    [
        "/onnxruntime_src/onnxruntime/core/graph/model.cc:180 onnxruntime::Model::Model(int) ",
        "D:\\a\\_work\\1\\s\\onnxruntime\\core\\graph\\model.cc:180 ns::Model::Model(int) ",
        "/Users/runner/work/1/s/onnxruntime/core/graph/model.cc:180 Model::Model(int) const ",
        "",
    ],
)
def test_what_onnx_runtime_says_comes_without_the_place_in_its_source(place: str) -> None:
    said = f"[ONNXRuntimeError] : 1 : FAIL : {place}Unknown model file format version."
    assert sessions._message_of(RuntimeError(said)) == "Unknown model file format version."


def test_threads_load_libraries_and_standard_output_stays(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime prints what is missing; another thread's results are printed meanwhile."""
    inside = threading.Barrier(2)

    def load() -> None:
        inside.wait(10)
        wheels.load_libraries()

    before = sys.stdout
    thread = threading.Thread(target=load)
    thread.start()
    inside.wait(10)
    results = 0
    while thread.is_alive() or results < 10:
        print("result")  # noqa: T201
        assert sys.stdout is before
        results += 1
    thread.join()
    assert capsys.readouterr().out.split() == ["result"] * results
    assert "print" not in vars(onnxruntime)  # its other functions go on printing


def test_what_onnx_runtime_prints_while_it_loads_is_dropped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    talkative = "def preload_dlls():\n    print('Failed to load libcudnn')\n    raise OSError"
    monkeypatch.setattr(onnxruntime, "preload_dlls", None)
    exec(talkative, vars(onnxruntime))  # with the module's own names, as the real one has
    with pytest.raises(OSError):
        wheels.load_libraries()
    assert capsys.readouterr().out == ""
    assert "print" not in vars(onnxruntime)
