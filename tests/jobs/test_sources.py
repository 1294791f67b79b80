"""Folders, patterns and lists name files; obstacles are reported and never stop the walk."""

import os
import socket
from pathlib import Path

import pytest

from dcls_cli.errors import UsageError
from dcls_cli.files import platforms
from dcls_cli.jobs import stored_sources
from dcls_cli.jobs.catalogue import Source
from dcls_cli.jobs.sources import Found, find, why_not
from tests.jobs.files import picture


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def found(*inputs: str, recursive: bool = True, out: str | None = None) -> Found:
    return find(inputs, recursive=recursive, out=Path(out) if out else None)


def relative(*inputs: str, recursive: bool = True, out: str | None = None) -> list[str]:
    return [
        source.relative.as_posix()
        for source in found(*inputs, recursive=recursive, out=out).sources
    ]


def test_a_folder_gives_its_tree_in_order() -> None:
    touch("in/b.png", "in/a/c.png", "in/a/b/d.png", "in/A.png")
    assert relative("in") == ["A.png", "a/b/d.png", "a/c.png", "b.png"]
    assert relative("in", recursive=False) == ["A.png", "b.png"]
    assert relative("in/") == relative("./in/../in") == relative(str(Path("in").absolute()))


def test_a_file_a_pattern_and_a_list() -> None:
    touch("in/x/1.png", "in/x/2.jpg", "in/y/z/3.png", "other/4.png")
    assert relative("in/x/1.png") == ["1.png"]
    assert relative("in/*/*.png") == ["x/1.png"]
    assert relative("in/**/*.png") == ["x/1.png", "y/z/3.png"]
    Path("list.txt").write_text("# mine\nin/x/1.png\n\nin/y/z/3.png\n")
    assert relative("list.txt") == ["x/1.png", "y/z/3.png"]
    Path("list.txt").write_bytes(b"other/4.png\r\nin/x/1.png\r\n")
    assert relative("list.txt") == ["in/x/1.png", "other/4.png"]


def test_a_file_that_exists_is_no_pattern() -> None:
    touch("in/[red]a.png", "in/*.png")
    assert relative("in/[red]a.png") == ["[red]a.png"]
    assert relative("in/*.png") == ["*.png"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("none", "none: no such file or folder"),
        ("none/*.png", "no file fits this pattern"),
        ("empty.txt", "an empty list"),
    ],
)
def test_inputs_that_are_none(text: str, said: str) -> None:
    Path("empty.txt").write_text("\n# nothing\n")
    with pytest.raises(UsageError, match=said):
        found(text)


def test_what_is_named_twice_counts_once() -> None:
    touch("in/a.png", "in/b.png")
    both = found("in", "in/a.png", "./in/*.png")
    assert [source.path.name for source in both.sources] == ["a.png", "b.png"]
    assert both.left_out == {"named twice": 3}


def test_the_folder_of_the_outputs_is_not_entered_unless_it_is_an_input() -> None:
    touch("in/a.png", "in/out/b.png", "in/out/deep/c.png")
    assert relative("in", out="in/out") == ["a.png"]
    assert relative("in/**", out="in/out") == ["a.png"]
    assert relative("in/out", out="in/out") == ["b.png", "deep/c.png"]
    Path("link").symlink_to("in/out")
    assert relative("in", out="link") == ["a.png"]


def test_hidden_and_temporary_files_stay_out() -> None:
    temporary = ".a.png.00000000.1-1.0123456789abcdef.dcls-tmp"
    touch("in/a.png", "in/._a.png", "in/.DS_Store", "in/.git/b.png", f"in/{temporary}")
    everything = found("in")
    assert [source.path.name for source in everything.sources] == ["a.png"]
    assert everything.left_out == {"hidden": 2}


@pytest.mark.skipif(os.name == "nt", reason="links and special files are POSIX")
def test_links_are_followed_once_and_special_files_are_only_named() -> None:
    touch("in/real/a.png", "elsewhere/b.png")
    Path("in/real/loop").symlink_to("..")
    Path("in/again").symlink_to("real")
    Path("in/there").symlink_to("../elsewhere")
    Path("in/dangling.png").symlink_to("nowhere")
    Path("in/self.png").symlink_to("self.png")
    Path("in/folder.png").mkdir()
    os.mkfifo("in/fifo.png")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("in/socket.png")
        everything = found("in")
    names = [source.relative.as_posix() for source in everything.sources]
    assert names == [
        "dangling.png",
        "fifo.png",
        "real/a.png",
        "self.png",
        "socket.png",
        "there/b.png",
    ]
    assert len(everything.notes) == 3
    assert sum("in/folder.png: a folder" in note for note in everything.notes) == 1
    assert sum("not followed" in note for note in everything.notes) == 2


@pytest.mark.skipif(os.name == "nt", reason="names are text on Windows")
def test_names_that_are_no_text() -> None:
    Path("in").mkdir()
    name = os.fsdecode(b"\xff\xfe.png")
    touch(f"in/{name}", "in/new\nline.png")
    assert relative("in") == ["new\nline.png", name]
    Path("list.txt").write_bytes(b"in/\xff\xfe.png\n")
    assert [source.path.name for source in found("list.txt").sources] == [name]


@pytest.mark.skipif(os.name == "nt", reason="FIFOs are POSIX")
def test_photos_are_known_by_name_or_by_content() -> None:
    picture(Path("a.png")).rename("no-suffix")
    picture(Path("a.png")).rename("a.data")
    picture(Path("a.tif")).rename("a.NEF")
    os.mkfifo("fifo.data")
    Path("broken.JPG").write_bytes(b"")
    Path("Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")
    Path("notes.txt").write_text("BM alone is no bitmap")
    verdicts = {path.name: why_not(path) for path in Path().iterdir()}
    assert verdicts == {
        "no-suffix": None,
        "a.data": None,
        "a.NEF": "camera raw",
        "broken.JPG": None,
        "fifo.data": "not a photo",
        "Thumbs.db": "not a photo",
        "notes.txt": "not a photo",
    }


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp850", "cp1252"]
)
def test_lists_as_the_programs_of_windows_write_them(
    encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notepad, PowerShell 5.1, and cmd and older programs in the code pages of the system."""
    name = "in/stra\u00dfe \u00e9.png"
    touch(name, "in/b.png")
    mark = b"" if encoding[-2:] not in ("le", "be") else "\ufeff".encode(encoding)
    Path("list.txt").write_bytes(mark + f"# mine\r\n{name}\r\n\r\nin/b.png\r\n".encode(encoding))
    if encoding.startswith("cp"):
        monkeypatch.setattr(platforms, "ON_WINDOWS", True)
        monkeypatch.setattr(stored_sources, "_CODE_PAGES", ("cp850", "cp1252"))
    assert sorted(relative("list.txt")) == ["b.png", "stra\u00dfe \u00e9.png"]


def test_lists_that_cannot_be_read_name_the_line(monkeypatch: pytest.MonkeyPatch) -> None:
    for content in ("a.png\nb.png\n".encode("utf-16-le"), b"\xff\xfea"):
        Path("list.txt").write_bytes(content)
        with pytest.raises(UsageError, match=r"list\.txt: .*save the list as text in UTF-8"):
            found("list.txt")
    monkeypatch.setattr(platforms, "ON_WINDOWS", True)
    monkeypatch.setattr(stored_sources, "_CODE_PAGES", ("ascii",))
    Path("list.txt").write_bytes(b"a.png\n\xe9.png\n")
    with pytest.raises(UsageError, match="line 2 is in no encoding"):
        found("list.txt")


def test_paths_as_the_explorer_copies_them(monkeypatch: pytest.MonkeyPatch) -> None:
    touch("in/a.png", '"quoted".png')
    Path("list.txt").write_text('"in/a.png"\n')
    monkeypatch.setattr(platforms, "ON_WINDOWS", True)
    assert relative("list.txt") == ["a.png"]
    monkeypatch.setattr(platforms, "ON_WINDOWS", False)
    Path("list.txt").write_text('"quoted".png\n')
    assert relative("list.txt") == ['"quoted".png']


def test_what_a_list_names_and_is_not_there_is_missed() -> None:
    touch("in/a.png")
    Path("list.txt").write_text("in/a.png\nin/gone\n")
    assert [(each.path.name, each.named) for each in found("list.txt").sources] == [
        ("a.png", False),
        ("gone", True),
    ]


def test_a_letter_is_in_one_shard_in_both_forms_of_unicode() -> None:
    one, two = (Source(Path(name), Path(name)) for name in ("caf\u00e9.png", "cafe\u0301.png"))
    assert one.key == two.key


def test_the_prefix_of_long_paths_is_no_pattern(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of that name stands for it."""
    touch("\\\\?\\/photos/a.png")
    monkeypatch.setattr(Path, "anchor", "\\\\?\\")
    assert relative("\\\\?\\/photos/*.png") == ["a.png"]
