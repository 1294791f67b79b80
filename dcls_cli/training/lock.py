"""One run at a time trains into a folder."""

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dcls_cli.errors import TrainingError
from dcls_cli.locking import held
from dcls_cli.training.processes import true_anywhere

NAME = "run.lock"


@contextmanager
def locked(out: Path, rank: int = 0) -> Iterator[None]:
    """Hold the folder of a run until the end of the block.

    Folders that were made for the lock and that nothing was put into are removed again.

    Args:
        out: made if it does not exist.
        rank: of this process in its run; the first one holds the lock, and all must ask for it.

    Raises:
        TrainingError: another run holds it, or it cannot be written to.
    """
    with contextlib.ExitStack() as stack:
        refusal: TrainingError | None = None
        try:
            if rank == 0:
                stack.enter_context(_hold(out))
        except TrainingError as error:
            refusal = error
        (refused,) = true_anywhere(refusal is not None)
        if refused:
            raise refusal or TrainingError(f"{out}: the first process cannot train into it")
        yield


@contextmanager
def _hold(out: Path) -> Iterator[None]:
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    try:
        with contextlib.ExitStack() as stack:
            try:
                out.mkdir(parents=True, exist_ok=True)
                stack.enter_context(held(out / NAME))
            except BlockingIOError as error:
                raise TrainingError(
                    f"{out}: {error.strerror} is training into this folder; wait for its end, or "
                    "choose another --out"
                ) from error
            except OSError as error:
                raise TrainingError(
                    f"{error.filename}: cannot be written ({error.strerror}); choose another --out"
                ) from error
            yield
    finally:
        with contextlib.suppress(OSError):
            for folder in missing:  # innermost first, up to the first that is not empty
                folder.rmdir()
