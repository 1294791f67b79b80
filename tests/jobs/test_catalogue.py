"""The list of a batch is on disk: its order, its marks, and no memory for each photo."""

import threading
import tracemalloc
from pathlib import Path

import pytest

from dcls_cli.errors import DclsError
from dcls_cli.files.addresses import Address
from dcls_cli.jobs import catalogue
from dcls_cli.jobs.catalogue import Catalogue, Source
from tests.jobs.files import sources


def many(count: int) -> Catalogue:
    return Catalogue(
        Source(Path(f"in/{number % 97:02}/IMG_{number:06}.jpg"), Path(f"{number % 97:02}/{number}"))
        for number in range(count)
    )


def test_sources_come_back_as_they_were_in_the_order_of_their_keys() -> None:
    given = [
        *sources("b.png", "a/\udcff.png", "caf\u00e9.png"),
        Source(Address("s3://pool/x.jpg"), Path("x.jpg"), named=True, length=7),
    ]
    photos = Catalogue(given)
    assert list(photos) == sorted(given, key=lambda source: source.key)
    assert all(type(got.path) is type(was.path) for got, was in zip(photos, given, strict=True))


def test_a_place_is_kept_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photos = Catalogue()
    assert photos.add(Source(Path("a.png"), Path("a.png")))
    assert not photos.add(Source(tmp_path / "a.png", Path("a.png")))
    assert len(photos) == 1


def test_photos_are_removed_and_named_while_they_are_read() -> None:
    photos = many(1700)
    assert photos.remove(number for number, *_ in photos.named() if number % 2) == 850
    photos.rename((number, f"{number}.png") for number, *_ in photos.named())
    assert [name for _, _, name in photos.named()] == [f"{n}.png" for n in range(2, 1701, 2)]


def test_marks_find_the_photos_that_share_a_text() -> None:
    photos = many(1500)
    photos.mark("output", ((f"{number // 2}.png", number) for number in range(1500)))
    photos.mark("stem", [("0.png", 9)])
    assert sorted(photos.shared("output")) == [[n, n + 1] for n in range(0, 1500, 2)]
    assert photos.marked("output", "0.png") == [0, 1]
    assert photos.marked("output", "750.png") == []


def test_python_holds_nothing_for_each_photo() -> None:
    tracemalloc.start()
    photos = many(12_000)
    photos.choose((number, (4, 3), 1) for number, *_ in photos.named())
    assert sum(1 for _ in photos.chosen()) == 12_000
    # Not of pathlib: the table in which it interns names has grown for a moment, and stays.
    ours = [tracemalloc.Filter(True, file) for file in (catalogue.__file__, __file__)]  # noqa: FBT003
    held = tracemalloc.take_snapshot().filter_traces(ours)
    tracemalloc.stop()
    assert sum(each.size for each in held.statistics("filename")) < 12_000 * 24


def test_threads_share_a_catalogue() -> None:
    photos, seen = many(3000), list[int]()

    def read() -> None:
        seen.append(sum(1 for _ in photos))

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert seen == [3000] * 3


def test_a_full_disk_is_reported() -> None:
    photos = Catalogue()
    photos._table.execute("PRAGMA max_page_count = 20")
    with pytest.raises(DclsError, match=r"temporary files: .*full; TMPDIR names"):
        for source in many(20_000):
            photos.add(source)
