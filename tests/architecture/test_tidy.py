"""Style that a linter does not know: sizes, names, and what must stand in no file. Each rule lists whatever breaks it."""

from __future__ import annotations

import ast
import re
import tokenize
from io import StringIO

import pytest

from tests.architecture import tree

FILE_LINES_MAX = 250
FUNCTION_LINES_MAX = 50

# Written with a hyphen too many, so that this file does not hold what it forbids.
UNFINISHED = re.compile(r"\b(T-ODO|F-IXME|X-XX|H-ACK)\b".replace("-", ""))
MACHINE_PATHS = re.compile(r"(^|[^\w.])/" + "(wor-k|roo-t|hom-e|far-m|User-s)/".replace("-", ""))
HOSTS = re.compile(
    r"pytho-nhosted\.org|pyp-i\.org|npmj-s\.org|mave-n\.org|deb\.debi-an\.org|crat-es\.io|proxy\.gol-ang\.org".replace(
        "-", ""
    )
)
ESTIMATES = {"metering.least_squares"}
"""Doors to numerical libraries in packages of money: what comes out of them is stored as integers before anything is split by it."""
VAGUE = {"util", "utils", "helper", "helpers", "manager", "managers", "base", "common", "misc", "stuff"}
"""Names that attract whatever has no place."""


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    """`path:line` of every line of a text file that has the pattern."""
    return [
        f"{path}:{number}"
        for path, text in tree.text_files().items()
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_product_file_is_long() -> None:
    """A file of more than 250 lines has become two rooms; there are no exceptions."""
    long = [
        f"{module.path}: {lines} lines"
        for module in tree.product()
        if (lines := module.text.count("\n")) > FILE_LINES_MAX
    ]

    assert not long, "\n".join(long)


def test_no_product_function_is_long() -> None:
    """A function of more than 50 lines, from its first decorator to its last line, has more than one job."""
    long = []
    for module in tree.product():
        for function in module.functions():
            first = min([function.lineno, *(decorator.lineno for decorator in function.decorator_list)])
            lines = (function.end_lineno or first) - first + 1
            if lines > FUNCTION_LINES_MAX:
                long.append(f"{module.path}:{first} {function.name}: {lines} lines")

    assert not long, "\n".join(long)


def test_nothing_has_a_vague_name() -> None:
    """Files, folders, classes and functions are named for what they are."""
    vague = [path for path in tree.files() if VAGUE & {part.partition(".")[0].lower() for part in path.split("/")}]
    for module in tree.product():
        for node in [*module.functions(), *module.classes()]:
            words = re.findall(r"[A-Z]?[a-z]+", node.name)
            if VAGUE & {word.lower() for word in words}:
                vague.append(f"{module.path}:{node.lineno} {node.name}")

    assert not vague, "\n".join(vague)


def test_nothing_is_left_unfinished() -> None:
    """What is still to be done stands in an issue, not in a comment."""
    found = lines_with(UNFINISHED)

    assert not found, "\n".join(found)


@pytest.mark.parametrize(
    ("pattern", "line"),
    [
        (UNFINISHED, "# T-ODO: later"),
        (UNFINISHED, "x = 1  # F-IXME"),
        (MACHINE_PATHS, 'PATH = "/wor-k/main"'),
        (MACHINE_PATHS, "cp /hom-e/me/x ."),
        (HOSTS, "index-url = https://pyp-i.org/simple"),
        (HOSTS, "https://files.pytho-nhosted.org/x.whl"),
    ],
)
def test_what_must_stand_nowhere_is_recognised(pattern: re.Pattern[str], line: str) -> None:
    """The patterns find what they are for."""
    assert pattern.search(re.sub(r"-(?!url)", "", line))


def test_no_path_of_one_machine_is_in_a_file() -> None:
    """Whatever machine a file was written on, it works on another."""
    found = lines_with(MACHINE_PATHS)

    assert not found, "\n".join(found)


def test_no_package_registry_is_named() -> None:
    """Where packages come from is the installer's setting; a lock file that names a host works behind no mirror."""
    found = lines_with(HOSTS)

    assert not found, "\n".join(found)


@pytest.mark.parametrize("package", ["apportion.domain", "attribution", "metering"])
def test_no_float_touches_money(package: str) -> None:
    """Where money is computed there is no float: no conversion to one, no literal, no true division, but in the doors to estimates."""
    floats = []
    for module in tree.product():
        if (module.name != package and not module.name.startswith(f"{package}.")) or module.name in ESTIMATES:
            continue
        for node in ast.walk(module.tree):
            made = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float"
            literal = isinstance(node, ast.Constant) and isinstance(node.value, float)
            divided = isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Div)
            if made or literal or divided:
                floats.append(f"{module.path}:{getattr(node, 'lineno', 0)}")

    assert not floats, "\n".join(floats)


def test_every_module_says_what_it_is() -> None:
    """Each module of the product opens with a docstring."""
    silent = [module.path for module in tree.product() if not ast.get_docstring(module.tree)]

    assert not silent, "\n".join(silent)


def test_package_files_hold_a_docstring_only() -> None:
    """An `__init__.py` is no façade: names are imported from the module that defines them."""
    allowed = {"apportion/__init__.py", "apportion/cli/__init__.py"}  # the version; the parser, kept light for `--help`
    full = [
        module.path
        for module in tree.product()
        if module.path.endswith("__init__.py") and module.path not in allowed and len(module.tree.body) != 1
    ]

    assert not full, "\n".join(full)


def test_the_packages_are_typed() -> None:
    """Each of the five packages tells type checkers that it is typed."""
    assert {f"{package}/py.typed" for package in tree.PACKAGES} <= set(tree.files())


def test_the_documented_attributes_are_the_fields() -> None:
    """The `Attributes:` of a dataclass names its fields, all of them, in their order; of another class, what it sets."""
    wrong = []
    for module in tree.product():
        for node in module.classes():
            documented = attributes(ast.get_docstring(node) or "")
            fields = [
                part.target.id
                for part in node.body
                if isinstance(part, ast.AnnAssign) and isinstance(part.target, ast.Name)
            ]
            public = [name for name in fields if not name.startswith("_")]
            if is_dataclass(node):
                if documented != public and (documented or not node.name.startswith("_")):
                    wrong.append(f"{module.path}:{node.lineno} {node.name}: documented {documented}, fields {public}")
            elif not set(documented) <= set(fields) | assigned(node):
                wrong.append(f"{module.path}:{node.lineno} {node.name}: no {sorted(set(documented) - assigned(node))}")

    assert not wrong, "\n".join(wrong)


def test_every_test_says_its_rule() -> None:
    """Each test has a docstring that states the behaviour it holds the product to."""
    silent = [
        f"{module.path}:{function.lineno} {function.name}"
        for module in tree.tests()
        if module.path.rpartition("/")[2].startswith("test_")
        for function in module.functions()
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]

    assert not silent, "\n".join(silent)


def test_golden_tests_are_called_so() -> None:
    """A test that takes the `golden` fixture has the word in its name: that is how `make golden` finds it."""
    unnamed = [
        f"{module.path}:{function.lineno} {function.name}"
        for module in tree.tests()
        for function in module.functions()
        if function.name.startswith("test_")
        and "golden" in {argument.arg for argument in function.args.args}
        and "golden" not in function.name
    ]

    assert not unnamed, "\n".join(unnamed)


def test_no_test_sleeps_or_rounds_money() -> None:
    """Tests wait for conditions, not for time, and compare exactly."""
    banned = {"sleep", "approx"}
    found = [
        f"{module.path}:{node.lineno}"
        for module in tree.tests()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Attribute | ast.Name)
        and {getattr(node, "attr", None), getattr(node, "id", None)} & banned
    ]

    assert not found, "\n".join(found)


def test_every_suppression_names_its_rule() -> None:
    """`noqa` and `type: ignore` silence one named rule, never all of them."""
    silencing = re.compile(r"#\s*(noqa(?!:)|type:\s*ignore(?!\[))")
    bare = [
        f"{module.path}:{token.start[0]}"
        for module in (*tree.product(), *tree.tests())
        for token in tokenize.generate_tokens(StringIO(module.text).readline)
        if token.type == tokenize.COMMENT and silencing.search(token.string)
    ]

    assert not bare, "\n".join(bare)


def is_dataclass(node: ast.ClassDef) -> bool:
    """Whether a class is decorated as a dataclass."""
    return any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list)


def assigned(node: ast.ClassDef) -> set[str]:
    """Names that a class sets on itself, and its properties."""
    targets = [part for part in ast.walk(node) if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store)]
    return {part.attr for part in targets} | {part.name for part in node.body if isinstance(part, ast.FunctionDef)}


def attributes(docstring: str) -> list[str]:
    """Names under `Attributes:`, in order."""
    found = re.search(r"^Attributes:\n((?:(?:    .*)?\n?)*)", docstring, re.MULTILINE)
    return re.findall(r"^    (\w+): ", found[1], re.MULTILINE) if found else []
