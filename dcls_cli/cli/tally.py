"""What a command over several photos has done, and the exit code that follows."""

from pathlib import Path

from dcls_cli.cli import console
from dcls_cli.errors import DclsError, ImageError, UsageError


class Tally:
    """Counts what was done, and tells and remembers what failed."""

    def __init__(self, *, json: bool) -> None:
        """Nothing is done yet; `json`: failures and the summary are events too."""
        self.json = json
        self.done = 0
        self.codes: list[int] = []

    def fail(self, source: Path, error: DclsError) -> None:
        """Tell why a photo has no result."""
        # These two name their file themselves, which may be the output.
        named = isinstance(error, ImageError | UsageError)
        text = console.reason(error, None if named else source)
        console.fault(text)
        self.codes.append(error.exit_code)
        if self.json:
            console.event("error", input=source, message=text, exit_code=error.exit_code)

    def exit_code(self) -> int:
        """0 if nothing failed; the failures' own code if nothing was done; otherwise 1."""
        if self.json:
            console.event("summary", done=self.done, failed=len(self.codes))
        if not self.codes:
            return 0
        return self.codes[0] if self.done == 0 and len(set(self.codes)) == 1 else 1
