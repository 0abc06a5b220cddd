"""House rules that a linter does not know."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import networkx as nx
import pytest
from fastism_compiler.ir.kernels import KERNELS

import fastism_compiler as fc

ROOT = Path(__file__).parent.parent
LIBRARY = [p for folder in ("ir", "passes", "fastism_compiler") for p in sorted((ROOT / folder).rglob("*.py"))]


def test_one_pass_one_module_one_name_one_test() -> None:
    for step in fc.default_pipeline():
        module = step.name.replace("-", "_")
        assert (ROOT / "passes" / f"{module}.py").is_file()
        assert type(step).__name__ == "".join(p.capitalize() for p in step.name.split("-")) + "Pass"
        assert (ROOT / "tests" / "passes" / f"test_{module}.py").is_file()


@pytest.mark.parametrize("path", LIBRARY, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_are_small_and_documented(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") <= 420, "split it: a file holds one idea"
    tree = ast.parse(text)
    if path.name != "_version.py":
        assert ast.get_docstring(tree), "a module says what it is for"
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            docstring = ast.get_docstring(node) or ""
            assert length - docstring.count("\n") <= 70, f"{node.name} is long"
    for node in tree.body:
        overload = any(isinstance(d, ast.Name) and d.id == "overload" for d in getattr(node, "decorator_list", []))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_") and not overload:
            assert ast.get_docstring(node), f"{node.name} is public and undocumented"


def test_ir_and_passes_know_no_tensorflow() -> None:
    for path in LIBRARY:
        if path.parts[len(ROOT.parts)] in ("ir", "passes"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
                names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
                assert not {n.split(".")[0] for n in names} & {"tensorflow", "keras"}, path


def run(code: str, cwd: Path) -> str:
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_importing_the_package_does_not_import_tensorflow() -> None:
    code = "import sys, fastism_compiler as fc; print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    assert run(code, ROOT) == "False False"


def test_a_users_own_ir_module_is_not_shadowed(tmp_path: Path) -> None:
    (tmp_path / "ir.py").write_text("MINE = True\n")
    (tmp_path / "passes.py").write_text("MINE = True\n")
    code = (
        f"import sys; sys.path.append({str(ROOT)!r})\n"
        "import fastism_compiler.ir, fastism_compiler.passes, ir, passes\n"
        "print(ir.MINE, passes.MINE)"
    )
    assert run(code, tmp_path) == "True True"


def test_every_folder_is_packaged() -> None:
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    folders = {p.parent.relative_to(ROOT) for p in LIBRARY if p.name == "__init__.py"}
    inside = {
        Path(*f.parts[1:]) if f.parts[:2] in (("fastism_compiler", "ir"), ("fastism_compiler", "passes")) else f
        for f in (Path(*name.split(".")) for name in setuptools["packages"])
    }
    assert inside == folders


def test_the_checkout_works_uninstalled(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path = [p for p in sys.path if 'editable' not in p]\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in getattr(f, '__module__', str(f))]\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "import fastism_compiler.ir as ir; print(ir.__file__)"
    )
    assert run(code, tmp_path) == str(ROOT / "ir" / "__init__.py")


def test_public_names_exist() -> None:
    for name in set(fc.__all__) - {"from_torch"}:
        assert getattr(fc, name) is not None
    with pytest.raises(AttributeError):
        _ = fc.nothing


@pytest.mark.skipif(find_spec("torch") is not None, reason="PyTorch is installed")
def test_what_needs_pytorch_says_how_to_install_it() -> None:
    with pytest.raises(ImportError, match=r"fastism-compiler\[torch\]"):
        _ = fc.from_torch
    with pytest.raises(ImportError, match=r"fastism-compiler\[torch\]"):
        import_module("fastism_compiler.torch")


def name_of(path: Path) -> str:
    """The import name of a module or package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "fastism_compiler" else ("fastism_compiler", *parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in LIBRARY}


def imported(tree: ast.AST) -> set[str]:
    """Modules that a file imports: at its top, inside functions, and for type checkers alone."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            inside = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {name if name in MODULES else str(node.module) for name in inside}
    return found


def test_imports_go_round_in_no_circle() -> None:
    edges = {name: imported(ast.parse(path.read_text())) & set(MODULES) for name, path in MODULES.items()}
    graph = nx.DiGraph((name, other) for name, others in edges.items() for other in others)
    circles = [sorted(c) for c in nx.strongly_connected_components(graph) if len(c) > 1]
    assert not circles, "\n".join(map(str, circles))
    assert not list(nx.selfloop_edges(graph))


def test_an_import_inside_a_function_says_why() -> None:
    silent = [f"{path.relative_to(ROOT)}:{line}" for path in LIBRARY for line in silent_imports(path.read_text())]
    assert not silent, "\n".join(["a comment says why these are not at the top:", *silent])


def silent_imports(text: str) -> list[int]:
    """Lines of imports inside functions without a comment on them or above."""
    lines = text.splitlines()
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    first = {block[0].lineno for function in functions for block in import_blocks(function)}
    return [n for n in sorted(first) if not lines[n - 2].strip().startswith("#") and "  # " not in lines[n - 1]]


def import_blocks(function: ast.AST) -> list[list[ast.stmt]]:
    """Imports inside a function, those on neighbouring lines together: one reason serves them all."""
    found = [n for n in ast.walk(function) if isinstance(n, ast.Import | ast.ImportFrom)]
    blocks: list[list[ast.stmt]] = []
    for node in sorted(found, key=lambda n: n.lineno):
        if blocks and node.lineno == (blocks[-1][-1].end_lineno or 0) + 1:
            blocks[-1].append(node)
        else:
            blocks.append([node])
    return blocks


def test_the_rules_on_imports_find_what_breaks_them() -> None:
    source = "def f():\n    import os\n    import re\n\n    # late\n    import ast\n\n    import csv  # late\n"
    assert silent_imports(source) == [2]
    assert imported(ast.parse("from fastism_compiler.ir import graph, Node")) == {
        "fastism_compiler.ir.graph",
        "fastism_compiler.ir",
    }


def test_kernels_are_named_in_their_own_folders_only() -> None:
    """Everyone else asks the kernel's spec: adding a kernel is a file and a line in each of the two folders."""
    for path in LIBRARY:
        if path.parent.name != "kernels":
            found = {n.value for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Constant)}
            assert not found & set(KERNELS), path


KERAS = "fastism_compiler/frontend/keras/"
MAY_IMPORT_KERAS = (
    KERAS,
    "fastism_compiler/emit/",  # its functions, as a library of numerics
    "fastism_compiler/frontend/onnx/operators/",  # as a tensor algebra, whose operations have rules
    "fastism_compiler/frontend/ensemble/models.py",  # to combine outputs
    "fastism_compiler/models/",
    "fastism_compiler/export/keras_layer.py",
    "fastism_compiler/cli/demo.py",
)
MAY_IMPORT_THE_KERAS_FRONTEND = (
    KERAS,
    "fastism_compiler/__init__.py",  # `register_layer` is public
    # the rules of `keras.ops`, with which operators of these are written
    "fastism_compiler/frontend/onnx/",
    "fastism_compiler/frontend/tensorflow/",
)
KERAS_PRIVATES = re.compile(
    r"\._(inputs_struct|outputs_struct|flatten_layers|inbound_nodes|nodes_by_depth|keras_history)"
)


@pytest.mark.parametrize(
    ("package", "allowed"),
    [("keras", MAY_IMPORT_KERAS), ("fastism_compiler.frontend.keras", MAY_IMPORT_THE_KERAS_FRONTEND)],
)
def test_keras_models_are_read_in_one_place(package: str, allowed: tuple[str, ...]) -> None:
    users = set()
    for path in LIBRARY:
        if any(name == package or name.startswith(f"{package}.") for name in imported(ast.parse(path.read_text()))):
            users.add(path.relative_to(ROOT).as_posix())
    assert not {user for user in users if not user.startswith(allowed)}
    for place in allowed:
        assert any(user.startswith(place) for user in users), f"{place} is in the table for nothing"


def test_private_structures_of_keras_are_read_in_one_file() -> None:
    # `keras2.py` reads those of `tf_keras`, another package
    files = [p for p in LIBRARY if p.name not in ("private.py", "keras2.py")]
    assert not [str(p) for p in files if KERAS_PRIVATES.search(p.read_text())]
