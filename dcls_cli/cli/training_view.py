"""What a person sees of a training run: a live table on a terminal, calm lines elsewhere."""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Self

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dcls_cli.cli import console
from dcls_cli.training.reports import Report, RollbackReport, ValidationReport, WindowReport

if TYPE_CHECKING:
    import torch

    from dcls_cli.training.loop import Trainer
    from dcls_cli.training.run import Run
    from dcls_cli.training.session import NewLength, Prepared

#: How many skipped images are named; a file names all of them.
LISTED = 5
#: Seconds between two lines where there is no terminal.
CALM_S = 30.0
REFRESH_PER_S = 2.0


class PlainView:
    """One line at most every `CALM_S` seconds, and one for each validation and roll-back."""

    def __init__(self, total_steps: int | None) -> None:
        """`total_steps`: length of the run, unless it is counted in minutes."""
        self.total_steps = total_steps
        self._last_line = -math.inf
        self._shortened: NewLength | None = None

    def __enter__(self) -> Self:
        """Start to watch."""
        return self

    def __exit__(self, *error: object) -> None:
        """Stop watching."""

    def on_start(self, run: "Run", device: "torch.device") -> None:
        """Print what the run computes on, and in which precision."""
        import torch

        from dcls_cli.backends.devices import select_precision

        precision: str = run.config.precision
        fast_bf16 = select_precision("auto", device) == "bf16"
        if precision == "bf16" and not fast_bf16:
            precision += " (slow here; --precision fp32 is faster)"
        elif precision == "fp32" and not fast_bf16:
            precision += " (bf16 is not faster here)"
        count = torch.get_num_threads()
        threads = f", {count} thread{'s' * (count > 1)}" if device.type == "cpu" else ""
        console.note(f"training on {device}{threads}, {precision}")
        if run.settings.val is None:
            console.note("no --val: nothing is measured, the last averaged weights are kept")

    def loading(self) -> AbstractContextManager[Callable[[int, int], None]]:
        """A bar for reading images."""
        return loading_bar()

    def on_prepared(self, run: "Run", prepared: "Prepared") -> None:
        """Print what the run trains on, and where it begins."""
        skipped, init = prepared.skipped, run.settings.init
        for item in skipped[:LISTED]:
            console.note(f"skipped {item.path}: {item.reason}")
        if len(skipped) > LISTED:
            console.note(f"skipped {len(skipped) - LISTED} more images, see {run.skipped}")
        console.note(
            f"{prepared.files} images, {prepared.megapixels:.1f} megapixels"
            + (f", {len(skipped)} skipped" if skipped else "")
        )
        if prepared.new_layers:
            console.note(f"not in {init}, start at random: {', '.join(prepared.new_layers)}")
        if prepared.resumed_at is not None:
            console.note(f"resumed at step {prepared.resumed_at}")
            self._note_length(prepared.new_length)
            if init is not None:
                console.note(f"{init} is ignored: the run continues with its own weights")

    def _note_length(self, length: "NewLength | None") -> None:
        """Report how a new length changes the learning rate; one that is reached, at the end."""
        if length is None:
            return
        if length.rates is None:
            self._shortened = length
            return
        last, following = length.rates
        console.note(
            f"the run is now {length.now} long, not {length.before}: its learning rate continues "
            f"from {last:.1e} at {following:.1e}, and decays to the new end"
        )

    def on_report(self, report: Report) -> None:
        """Print what is worth a line."""
        match report:
            case WindowReport():
                self.on_window(report)
            case ValidationReport():
                console.note(validation_line(report))
            case RollbackReport():
                console.note(
                    f"step {report.step}: {report.reason}; back to step {report.back_to} with "
                    f"other patches, learning rate x {report.learning_rate_factor:g} from here on"
                )

    def on_window(self, report: WindowReport) -> None:
        """Print the figures of a window, if the last line is long enough ago."""
        now = time.monotonic()
        if now - self._last_line >= CALM_S or report.progress >= 1:
            self._last_line = now
            console.note(window_line(report, self.total_steps))

    def on_warning(self, message: str) -> None:
        """Print it."""
        console.note(message)

    def on_end(self, run: "Run", trainer: "Trainer") -> None:
        """Print on stdout which weights there are, or on stderr how to go on."""
        from dcls_cli.training.session import BEST, LATEST

        step, minutes = trainer.state.step, trainer.elapsed_s / 60
        if not trainer.finished:
            console.note(
                f"stopped at step {step} after {minutes:.1f} minutes; the same command with "
                "--resume auto continues"
            )
            return
        validated = math.isfinite(trainer.best_psnr_db)
        psnr = f"PSNR Y {trainer.best_psnr_db:.2f} dB" if validated else "not validated"
        weights = run.out / (BEST if validated else LATEST)
        if self._shortened is not None:
            console.note(
                f"nothing was trained: {step} steps and {minutes:.1f} minutes are done already, "
                f"and the run is now {self._shortened.now} long, not {self._shortened.before}; "
                f"the weights are in {weights}"
            )
            return
        console.say(f"{weights}  {psnr}  {step} steps  {minutes:.1f} min")


class LiveView(PlainView):
    """A table that is redrawn in place; validations and roll-backs scroll by above it."""

    def __init__(self, title: str, total_steps: int | None) -> None:
        """`title` names the run."""
        super().__init__(total_steps)
        self.title = title
        self._window: WindowReport | None = None
        self._since = time.monotonic()
        self._latest: ValidationReport | None = None
        self._best = -math.inf
        self._rollbacks = 0
        self._terminal = ExitStack()
        self._live = Live(
            console=console.err,
            get_renderable=self.render,
            refresh_per_second=REFRESH_PER_S,
            transient=True,
        )

    def __enter__(self) -> Self:
        """Show the table."""
        self._terminal.enter_context(keeps_output())
        self._live.start(refresh=True)
        return self

    def __exit__(self, *error: object) -> None:
        """Take the table away."""
        self._live.stop()
        self._terminal.close()

    def on_report(self, report: Report) -> None:
        """Take over the figures."""
        if isinstance(report, ValidationReport):
            self._latest, self._best = report, max(self._best, report.psnr_y_db)
        elif isinstance(report, RollbackReport):
            self._rollbacks += 1
        super().on_report(report)

    def on_window(self, report: WindowReport) -> None:
        """Take over the figures of a window."""
        self._window, self._since = report, time.monotonic()

    def render(self) -> Panel:
        """The table as it is now."""
        window = self._window
        if window is None:
            return self._panel(Text("first steps ..."))
        # Between two windows the clock goes on.
        elapsed = window.elapsed_s + time.monotonic() - self._since
        psnr = "not yet"
        if self._latest is not None:
            psnr = f"{self._latest.psnr_y_db:.2f} dB, best {self._best:.2f}"
        table = Table.grid(padding=(0, 2), expand=True)
        for _ in range(2):
            table.add_column(style="dim")
            table.add_column(justify="right")
        table.add_row(
            "image loss",
            f"{window.image_loss:.4f}",
            "step",
            f"{window.step}{_of(self.total_steps)}",
        )
        table.add_row(
            "kernel loss", f"{window.kernel_loss:.3f}", "patches/s", f"{window.patches_per_s:.1f}"
        )
        table.add_row("PSNR Y", psnr, "learning rate", f"{window.learning_rate:.2e}")
        table.add_row("elapsed", clock(elapsed), "left", clock(time_left(window)))
        if self._rollbacks:
            table.add_row("roll-backs", str(self._rollbacks), "", "")
        bar = ProgressBar(total=1.0, completed=min(window.progress, 1.0))
        return self._panel(Group(table, bar))

    def _panel(self, content: RenderableType) -> Panel:
        """A frame that leaves room for the ^C that terminals print behind its last line.

        If that wrapped, the frame would lie one line lower than Rich believes, and stay.
        """
        width = max(console.err.width - len("^C") - 1, 1)
        return Panel(content, title=Text(console.visible(self.title)), width=width)


@contextmanager
def keeps_output() -> Iterator[None]:
    """Have the terminal neither print ^C nor throw away what is being written when it is pressed.

    Either would leave a broken table on the screen. Nothing happens where stdin is no terminal of
    POSIX, or one that other programs use at the moment, which may not be set from here.
    """
    if sys.platform == "win32" or not _has_terminal():
        yield
        return
    import termios

    before = termios.tcgetattr(sys.stdin)
    during = [*before]
    during[3] = (before[3] | termios.NOFLSH) & ~termios.ECHOCTL
    termios.tcsetattr(sys.stdin, termios.TCSANOW, during)
    try:
        yield
    finally:
        if _has_terminal():
            termios.tcsetattr(sys.stdin, termios.TCSANOW, before)


def _has_terminal() -> bool:
    if sys.platform == "win32":
        return False
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except (OSError, ValueError, AttributeError):  # no terminal, or closed
        return False


def view_of(out: Path, total_steps: int | None) -> PlainView:
    """The view that suits stderr."""
    return LiveView(str(out), total_steps) if console.shows_progress() else PlainView(total_steps)


@contextmanager
def loading_bar() -> Iterator[Callable[[int, int], None]]:
    """A bar for reading images, where there is a terminal; yields what is called with counts."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    disable = not console.shows_progress()
    with Progress(*columns, console=console.err, disable=disable, transient=True) as bar:
        task = bar.add_task("reading images", total=None)
        yield lambda count, total: bar.update(task, completed=count, total=total)


def window_line(report: WindowReport, total_steps: int | None) -> str:
    """One line of figures."""
    return (
        f"step {report.step}{_of(total_steps)} ({report.progress:.1%}): "
        f"loss {report.image_loss:.4f}, kernel {report.kernel_loss:.3f}, "
        f"{report.patches_per_s:.1f} patches/s, rate {report.learning_rate:.2e}, "
        f"{clock(report.elapsed_s)} elapsed, {clock(time_left(report))} left"
    )


def validation_line(report: ValidationReport) -> str:
    """One line of figures."""
    by_sigma = report.psnr_y_db_by_sigma
    return (
        f"step {report.step}: PSNR Y {report.psnr_y_db:.2f} dB{' (best)' if report.best else ''}, "
        f"{by_sigma[0]:.2f} for the narrowest blur, {by_sigma[-1]:.2f} for the widest, "
        f"after {clock(report.elapsed_s)}"
    )


def _of(total_steps: int | None) -> str:
    return f" of {total_steps}" if total_steps else ""


def time_left(report: WindowReport) -> float:
    """Seconds, if the run goes on as fast as it has gone."""
    if report.progress <= 0:
        return math.nan
    return report.elapsed_s * max(0.0, 1 - report.progress) / report.progress


def clock(seconds: float) -> str:
    """H:MM:SS; a dash if unknown."""
    if not math.isfinite(seconds):
        return "-"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
