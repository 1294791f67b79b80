"""Error messages about a command line name what is wrong and suggest a correction."""

import pytest

from dcls_cli.cli.app import run


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("upscale x.png -s four", "--scale four: expected a number"),
        ("upscale x.png -s 0.5", "scale 0.5 is not available; choose 1 to 4"),
        ("upscale x.png --stretch --width 9", "--stretch needs --width and --height"),
        ("upscale x.png -s 5", "scale 5 is not available; choose 1 to 4"),
        ("upscale x.png --quality 200", "--quality 200: expected at most 100"),
        ("upscale x.png --quality 0", "--quality 0: expected at least 1"),
        (
            "upscale x.png -f pgn",
            "--format pgn: choose from keep, png, jpg, webp, tiff, avif; did you mean png?",
        ),
        ("upscale x.png --kernel-mode foo", "--kernel-mode foo: choose from global, tile"),
        (
            "upscale x.png --fidelity 2",
            "fidelity 2: expected a number from 0 (the network alone) to 1 (the result explains "
            "the photo to the last level)",
        ),
        (
            "upscale x.png --fidelity -1",
            "fidelity -1: expected a number from 0 (the network alone) to 1 (the result explains "
            "the photo to the last level)",
        ),
        (
            "batch . --fidelity nan",
            "fidelity nan: expected a number from 0 (the network alone) to 1 (the result explains "
            "the photo to the last level)",
        ),
        ("upscale x.png --fidelity much", "--fidelity much: expected a number"),
        *(
            (
                f"{command} --noise {value}",
                f"noise {value}: expected auto, or its standard deviation from 0 to 128 levels of "
                "255",
            )
            for command, value in (
                ("upscale x.png", "-1"),
                ("upscale x.png", "much"),
                ("batch .", "nan"),
                ("batch .", "200"),
            )
        ),
        ("upscale x.png --max-pixels many", "--max-pixels many: expected a number"),
        ("upscale x.png --max-pixels nan", "--max-pixels nan: expected at least 1"),
        ("upscale x.png --qualty 3", "upscale: --qualty is not an option; did you mean --quality?"),
        (
            "upscale x.png --zzz",
            "upscale: --zzz is not an option; dcls upscale --help lists them",
        ),
        ("upscale x.png -o", "-o: a value is missing"),
        ("upscale", "upscale: PHOTO is missing, as in: dcls upscale photo.jpg"),
        ("batch", "batch: INPUT is missing, as in: dcls batch photos/"),
        (
            "weights convert a",
            "weights convert: --output is missing, as in: "
            "dcls weights convert DCLSx4_setting1.pth -o dclsx4.safetensors",
        ),
        ("bench extra", "bench: one argument too many: extra"),
        ("upscal x.png", "upscal: neither a command of dcls nor a file; did you mean upscale?"),
        (
            "gone.jpg",
            "gone.jpg: neither a command of dcls nor a file; dcls --help lists the commands",
        ),
        (
            "models lst",
            "lst: not a command of dcls models; did you mean list?",
        ),
        ("-s 2 x.png", "-s: options follow a command: dcls upscale -s ..."),
        (
            "train --preset pohto",
            "--preset pohto: choose from light, photo, paper-iso, paper-aniso, noise15, noise30; "
            "did you mean photo?",
        ),
        (
            "data download div3k",
            "div3k: no such data set; choose from div2k, div2k-valid, flickr2k; "
            "did you mean div2k?",
        ),
    ],
)
def test_a_message_names_what_was_typed_and_what_would_be_right(
    line: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line.split()) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"dcls: {told}\n"


@pytest.mark.parametrize("line", ["upscale x.png -m dcls-foto-x4", "models info dcls-foto-x4"])
def test_a_misspelt_model_names_the_nearest_one(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line.split()) == 2
    assert capsys.readouterr().err.endswith("; did you mean dcls-photo-x4?\n")
