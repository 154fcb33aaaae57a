"""Names of a package that are imported when they are first used (PEP 562), and listed in its docstring."""

import importlib
import importlib.util
import sys
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any


def lazy_names(
    package: str, names: Mapping[str, str], modules: Iterable[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package.

    Args:
        package: its `__name__`.
        names: module of the package -> the public names in it, with commas between them.
        modules: modules that `dir` lists, too; the others can be reached all the same.
    """
    places = {name: module for module, text in names.items() for name in text.split(", ")}

    def get_attribute(name: str) -> Any:
        if name in places:
            value = getattr(importlib.import_module(f"{package}.{places[name]}"), name)
            setattr(sys.modules[package], name, value)
            return value
        if not name.startswith("_") and importlib.util.find_spec(f"{package}.{name}"):
            return importlib.import_module(f"{package}.{name}")
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    def list_names() -> list[str]:
        return sorted([*places, *modules, *(name for name in vars(sys.modules[package]) if name.startswith("__"))])

    return get_attribute, list_names


def with_names(docstring: str | None, names: Mapping[str, str]) -> str:
    """A docstring and a table of the public names.

    Args:
        docstring: of the package; None where Python leaves docstrings out.
        names: module -> the public names in it, with commas between them.
    """
    width = max(map(len, names)) + 3
    rows = [
        textwrap.fill(text, 116, initial_indent=module.ljust(width), subsequent_indent=" " * width)
        for module, text in names.items()
    ]
    return f"{(docstring or '').rstrip()}\n\n" + textwrap.indent("\n".join(rows), "    ")
