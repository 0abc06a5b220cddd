"""House rules that a linter does not know."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

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
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
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


def test_the_checkout_works_uninstalled(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path = [p for p in sys.path if 'editable' not in p]\n"
        "sys.meta_path = [f for f in sys.meta_path if 'editable' not in getattr(f, '__module__', str(f))]\n"
        f"sys.path.insert(0, {str(ROOT)!r})\n"
        "import fastism_compiler.ir as ir; print(ir.__file__)"
    )
    assert run(code, tmp_path) == str(ROOT / "ir" / "__init__.py")


def test_public_names_exist() -> None:
    for name in fc.__all__:
        assert getattr(fc, name) is not None
    with pytest.raises(AttributeError):
        _ = fc.nothing
