"""Before and after in one place, parted by a line that the reader moves.

Without JavaScript the two pictures stand beside each other, each under its name. With it, the page
must carry `slider_css()` in a style sheet and `slider_js()` in a script at its end, each once.
"""

from html import escape
from importlib import resources

from dcls_cli.reports.pictures import Picture


def slider(before: Picture, after: Picture, labels: tuple[str, str]) -> str:
    """HTML of one slider.

    Args:
        before: the left picture.
        after: the right picture, of the same size.
        labels: names of both, plain text; they are also what screen readers say.
    """
    figures = "\n".join(
        f'  <figure class="slider-{side}"><img src="{picture.uri}" width="{picture.width}" '
        f'height="{picture.height}" alt="{escape(label)}">'
        f"<figcaption>{escape(label)}</figcaption></figure>"
        for side, picture, label in (("before", before, labels[0]), ("after", after, labels[1]))
    )
    return f'<div class="slider" style="--width: {before.width}px">\n{figures}\n</div>'


def slider_css() -> str:
    """Style rules of all sliders of a page; they use no colour but black and white."""
    return _text("slider.css")


def slider_js() -> str:
    """Script that turns each pair of figures into a slider, mouse, touch and keyboard."""
    return _text("slider.js")


def _text(name: str) -> str:
    return resources.files("dcls_cli.reports").joinpath(name).read_text(encoding="utf-8")
