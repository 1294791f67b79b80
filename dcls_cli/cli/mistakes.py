"""What is wrong with a command line, in our words instead of those of Typer and pydantic."""

from collections.abc import Sequence
from typing import Any

from typer.exceptions import TyperException

from dcls_cli.errors import nearest

#: Ends of what pydantic calls the kinds of its errors, and what was expected instead.
_EXPECTED = {
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing_size": "a smaller number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "greater_than_equal": "at least {ge:g}",
    "less_than_equal": "at most {le:g}",
}


def explain(error: TyperException) -> str:
    """Say what a command line has wrong, and what would be right.

    Args:
        error: as Typer raises it; its parts are read by name, since their classes are private.
    """
    match type(error).__name__:
        case "MissingParameter":
            return _missing(error)
        case "NoSuchOption":
            return _unknown_option(error)
        case "BadOptionUsage":
            return f"{_command(error)}{getattr(error, 'option_name', '')}: a value is missing"
        case "BadParameter":
            return _bad_value(error)
        case _:
            return _other(error)


def _missing(error: Any) -> str:  # noqa: ANN401 - Typer's class is private
    example = _example(error)
    as_in = f", as in: {example}" if example else ""
    return f"{_command(error)}{_name(error.param)} is missing{as_in}"


def _unknown_option(error: Any) -> str:  # noqa: ANN401
    option = error.option_name
    near = nearest(option, error.possibilities or ())
    if not near and error.ctx is not None and hasattr(error.ctx.command, "commands"):
        return f"{option}: options follow a command: dcls upscale {option} ..."
    command = f"dcls {error.ctx.info_name}" if error.ctx is not None else "dcls"
    return f"{_command(error)}{option} is not an option{near or f'; {command} --help lists them'}"


def _bad_value(error: Any) -> str:  # noqa: ANN401
    parameter = error.param
    cause = error.__cause__
    if parameter is None or not hasattr(cause, "errors"):
        return " ".join(error.format_message().split())
    (first, *_) = cause.errors()
    name = _name(parameter)
    if error.ctx is not None and _is_from_environment(error.ctx, parameter):
        name = f"{name} (from {parameter.envvar})"
    value = first["input"]
    choices = parameter.type_descriptor.choices
    if choices is not None:
        known = [str(choice) for choice in choices]
        return f"{name} {value}: choose from {', '.join(known)}{nearest(str(value), known)}"
    wanted = _EXPECTED.get(first["type"])
    if wanted is None:
        return f"{name} {value}: {first['msg'].removeprefix('Value error, ')}"
    return f"{name} {value}: expected {wanted.format(**first.get('ctx', {}))}"


def _is_from_environment(context: Any, parameter: Any) -> bool:  # noqa: ANN401
    source = context.get_parameter_source(parameter.name)
    return source is not None and source.name == "ENVIRONMENT"


def _name(parameter: Any) -> str:  # noqa: ANN401
    """Of an option, its long form; of an argument, what the help calls it."""
    if parameter.param_type_name == "option":
        return str(parameter.opts[-1])
    return str(parameter.display_name_raw).removesuffix("...")


def _other(error: Any) -> str:  # noqa: ANN401
    """An unknown command, too many arguments, and whatever else there is."""
    text = " ".join(error.format_message().split())
    context = getattr(error, "ctx", None)
    if context is None:
        return text
    if text.startswith("No such command"):
        word = text.split("'")[1]
        where = context.command_path
        what = f"neither a command of {where} nor a file"
        if context.parent is not None:
            what = f"not a command of {where}"
        return (
            f"{word}: {what}"
            f"{nearest(word, context.command.commands) or f'; {where} --help lists the commands'}"
        )
    _, found, words = text.partition("unexpected extra argument(s) (")
    if found:
        return f"{_command(error)}one argument too many: {words.removesuffix(')')}"
    return text


def _command(error: Any) -> str:  # noqa: ANN401
    """The command that a message is about, such as `weights convert: `."""
    context: Any = getattr(error, "ctx", None)
    path = "" if context is None else context.command_path.partition(" ")[2]
    return f"{path}: " if path else ""


def _example(error: Any) -> str | None:  # noqa: ANN401
    """The first example of the command's help."""
    epilog: str | None = getattr(error.ctx.command, "epilog", None) if error.ctx else None
    lines: Sequence[str] = epilog.strip().splitlines() if epilog else ()
    return lines[0].strip() if lines else None
