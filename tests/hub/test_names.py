"""`hf:owner/repo[@revision][/file]`: what it means and what is refused."""

import pytest

from dcls_cli.errors import UsageError
from dcls_cli.models.hub import HubFile, is_hub_name, parse_hub_name


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf:me/net", HubFile("me/net", "main", None)),
        ("hf:me/net@v1.0", HubFile("me/net", "v1.0", None)),
        ("hf:me/net/x4.safetensors", HubFile("me/net", "main", "x4.safetensors")),
        ("hf:me/net@0a1b/sub/x4.safetensors", HubFile("me/net", "0a1b", "sub/x4.safetensors")),
        ("hf:me/net@refs%2Fpr%2F1", HubFile("me/net", "refs/pr/1", None)),
        ("hf:a-b/c_d.e-2@main", HubFile("a-b/c_d.e-2", "main", None)),
    ],
)
def test_a_name_is_read_and_written(text: str, expected: HubFile) -> None:
    assert is_hub_name(text)
    assert parse_hub_name(text) == expected
    assert parse_hub_name(str(expected)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "hf:",
        "hf:me",
        "hf:me/",
        "hf:/net",
        "hf:me/net@",
        "hf:me/net/",
        "hf:me/net@v1@v2",
        "hf:me/net/weights.pth",
        "hf:me/net/../x.safetensors",
        "hf:me/net/a//x.safetensors",
        "hf:me/net/.\\x.safetensors",
        "hf:me/net/a\nb.safetensors",
        "hf:me/net@../../x",
        "hf:me/net@..%2Fx",
        "hf:../net",
        "hf:me/..",
        "hf:me/a--b",
        "hf:me/net/c:x.safetensors",
        f"hf:me/{'a' * 100}",
        "hf:mé/net",
    ],
)
def test_other_names_are_refused_with_the_name(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_hub_name(text)
    assert repr(text) in str(caught.value)


def test_names_of_releases_and_files_are_not_of_the_hub() -> None:
    assert not is_hub_name("dcls-light-x4")
    assert not is_hub_name("folder/hf:x.safetensors")
