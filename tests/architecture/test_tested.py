"""Everything has a test somewhere: each module, each step and each audit."""

from __future__ import annotations

import ast
import re

from tests.architecture import tree

TESTS = [module for module in tree.tests() if not module.path.startswith("tests/architecture/")]


def test_every_module_has_a_test() -> None:
    """Some test imports each module or runs its command, or imports a module of the same package that stands in front of it."""
    modules = {module.name: module for module in tree.product()}
    named = {name for test in TESTS for name in imports(test)}
    said = {
        node.value
        for test in TESTS
        for node in ast.walk(test.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    tested = {name for name in modules if name in named | said or is_run(name, said)}
    behind = {name: within_package(module) & set(modules) for name, module in modules.items()}
    while found := {name for door in tested for name in behind[door]} - tested:
        tested |= found
    code = {
        name
        for name, module in modules.items()
        if len(module.tree.body) > 1 and not module.path.endswith("__init__.py")
    }
    untested = [modules[name].path for name in sorted(code - tested)]

    assert not untested, "\n".join(untested)


def test_every_step_and_audit_has_a_test() -> None:
    """Some file under tests/ names each step as `schema.table`, and each audit by its truth."""
    words = {word for test in TESTS for word in re.findall(r"\w+(?:\.\w+)?", test.text)}
    names = {}
    for path in tree.files(".sql"):
        stage, folder, file = path.split("/")[0], path.split("/")[-2], path.split("/")[-1].removesuffix(".sql")
        if stage in ("metering", "attribution"):
            names[path] = file if folder == "audits" else f"{stage}.{file}"
    untested = [path for path, name in names.items() if name not in words]

    assert not untested, "\n".join(untested)


def is_run(name: str, said: set[str]) -> bool:
    """Whether tests run a module as a program: `apportion.cli.demo` as "demo", `apportion.__main__` by "-m"."""
    package, _, last = name.rpartition(".")
    return (package == "apportion.cli" and last in said) or (last == "__main__" and {"-m", package} <= said)


def imports(module: tree.Module) -> set[str]:
    """Dotted names of everything a module imports, and of the modules they come from."""
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def within_package(module: tree.Module) -> set[str]:
    """What a module imports from its own package."""
    package = module.name.rpartition(".")[0]
    return {name for name in imports(module) if name.rpartition(".")[0] == package}
