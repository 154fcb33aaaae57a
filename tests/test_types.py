"""Type hints: every public function of the package states what it takes and gives; mypy checks them in `make test`."""

import ast
from pathlib import Path

import pytest

import kaggle_speech

PACKAGE_DIR = Path(kaggle_speech.__file__).parent
FILES = sorted(PACKAGE_DIR.rglob("*.py"))


def public_functions(path):
    """Public functions and methods of a file, those inside functions left out."""
    bodies = [ast.parse(path.read_text(encoding="utf-8"))]
    while bodies:
        for node in bodies.pop().body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                bodies.append(node)
            elif isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield node


def has_hints(function):
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    arguments = [argument for argument in arguments if argument.arg not in ("self", "cls")]
    return function.returns is not None and all(argument.annotation for argument in arguments)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE_DIR)))
def test_public_functions_have_type_hints(path):
    assert [function.name for function in public_functions(path) if not has_hints(function)] == []


def test_the_package_says_that_it_has_hints():
    assert (PACKAGE_DIR / "py.typed").exists()
