"""Publish weights on the Hub: the model card, and the commit with all files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dcls_cli.config import ModelConfig
from dcls_cli.errors import DclsError
from dcls_cli.models.hub import transfer
from dcls_cli.models.releases import Release

if TYPE_CHECKING:
    from huggingface_hub import EvalResult

PICTURE_FILE = "picture.png"
#: The Hub counts the downloads of a model by this file.
CONFIG_FILE = "config.json"
_PAPER = "2202.07508"


@dataclass(frozen=True, kw_only=True)
class Published:
    """What a card tells.

    Attributes:
        repo: `owner/name`.
        file: name of the weight file in the repository.
        sha256: of that file.
        config: of the network.
        metadata: free text of the weight file.
        release: of the registry, if the file is one; its figures are shown.
        picture: whether there is one.
    """

    repo: str
    file: str
    sha256: str
    config: ModelConfig
    metadata: Mapping[str, str]
    release: Release | None
    picture: bool


def model_card(published: Published) -> str:
    """The README.md of a repository: metadata in YAML, then Markdown."""
    from huggingface_hub import ModelCardData

    item, config = published.release, published.config
    name = item.name if item is not None else published.repo.partition("/")[2]
    results = [] if item is None else _results(item)
    data = ModelCardData(
        license="mit",
        library_name="dcls",
        pipeline_tag="image-to-image",
        tags=["super-resolution", "blind-super-resolution", "deblurring", f"x{config.scale}"],
        metrics=["psnr", "ssim"],
        model_name=name if results else None,
        eval_results=results or None,
    )
    return f"---\n{data.to_yaml()}\n---\n\n{_body(name, published)}"


def _results(item: Release) -> "list[EvalResult]":
    """Figures of the registry as the Hub wants them."""
    from huggingface_hub import EvalResult

    figures = (("psnr", "PSNR Y, dB", item.psnr_y_db), ("ssim", "SSIM Y", item.ssim_y))
    return [
        EvalResult(
            task_type="image-to-image",
            dataset_type="set5",
            dataset_name=f"Set5 x{item.scale}, Gaussian8 (validation set of the training)",
            metric_type=metric,
            metric_name=label,
            metric_value=value,
        )
        for metric, label, value in figures
    ]


def _body(name: str, published: Published) -> str:
    config, item = published.config, published.release
    name_here = f"hf:{published.repo}/{published.file}"
    parts = [
        f"# {name}",
        f"Blind super-resolution x{config.scale} after [DCLS](https://arxiv.org/abs/{_PAPER}) "
        "(CVPR 2022): it estimates the blur of a photo, inverts it, and restores the picture at "
        f"{config.scale} times the size. It restores; it does not invent texture.",
    ]
    if published.picture:
        parts.append(f"![input, bicubic, {name}, the blur that was found]({PICTURE_FILE})")
        parts.append(f"Input, bicubic x{config.scale}, this model, the blur that it found.")
    parts.append(
        f"```bash\ndcls upscale photo.jpg -m {name_here}\n```\n\n"
        "```python\nfrom dcls_cli import Upscaler\n\n"
        f'upscaler = Upscaler.from_pretrained("{name_here}")\n```'
    )
    parts.append("\n".join(["| | |", "| --- | --- |", *_rows(published)]))
    if item is not None:
        parts.append(
            f"Set5 x{item.scale}, Gaussian8 protocol, mean of eight blurs on Y: "
            f"**{item.psnr_y_db:.2f} dB** PSNR, **{item.ssim_y:.4f}** SSIM. Set5 was also the "
            "validation set of this network, so these figures are somewhat better than those of "
            "other pictures."
        )
    parts.append(
        "Not for inventing detail, motion blur or strong noise beyond what it was trained on."
    )
    return "\n\n".join(parts) + "\n"


def _rows(published: Published) -> list[str]:
    config, item = published.config, published.release
    rows = {
        "scale": f"x{config.scale}",
        "network": f"{config.features} features, {config.groups} groups of {config.blocks} blocks",
        "kernel": f"{config.kernel_size} taps a side, in {config.kernel_space.upper()} pixels",
        "file": f"`{published.file}`",
        "SHA-256": f"`{published.sha256}`",
    }
    if item is not None:
        rows |= {"trained on": item.trained_on, "licence": item.licence}
    for key, text in sorted(published.metadata.items()):
        if not key.startswith("dcls_"):
            rows.setdefault(key, text)
    return [f"| {_cell(key)} | {_cell(text)} |" for key, text in rows.items()]


def _cell(text: str) -> str:
    """Text that neither ends a table's cell nor becomes HTML."""
    plain = " ".join(text.split()).replace("|", "\\|")
    return plain.replace("&", "&amp;").replace("<", "&lt;")


#: For everything that an upload takes; a connection that hangs ends there.
UPLOAD_LIMIT_S = 1800.0


def push(
    repo: str,
    files: Mapping[str, Path | bytes],
    message: str,
    *,
    private: bool,
    kind: Literal["model", "space"] = "model",
) -> str:
    """Make a repository if there is none, and commit files to its main branch in one commit.

    A new Space is a static one.

    Returns:
        The commit, 40 hexadecimal digits: the revision to pin.

    Raises:
        DclsError: the Hub refuses, or cannot be reached.
    """
    import httpx2
    from huggingface_hub import CommitOperationAdd, HfApi
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined] # lazy

    disable_progress_bars()
    api = HfApi()
    operations = [
        CommitOperationAdd(path_in_repo=name, path_or_fileobj=content)
        for name, content in files.items()
    ]
    try:
        with transfer.without_telemetry():
            sdk = "static" if kind == "space" else None
            transfer.ask(
                lambda: api.create_repo(
                    repo, private=private, exist_ok=True, repo_type=kind, space_sdk=sdk
                )
            )
            done = transfer.within(
                UPLOAD_LIMIT_S,
                lambda: api.create_commit(repo, operations, commit_message=message, repo_type=kind),
            )
    except (transfer.StalledError, OSError, ValueError, RuntimeError, httpx2.HTTPError) as error:
        cause = error.__cause__ if isinstance(error, RuntimeError) else error  # of one file
        known = cause if isinstance(cause, Exception) else error
        reason = transfer.failure_reason(known, advice="check the connection and HF_ENDPOINT")
        raise DclsError(f"{repo}: not published: {reason}") from error
    return done.oid
