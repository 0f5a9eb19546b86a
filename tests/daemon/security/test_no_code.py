"""Nothing that arrives or is configured is ever code: what could run it stands nowhere in the package."""

import ast

from tests.conftest import ROOT

# Modules and functions that run what they read; and msgpack's way to make objects of it.
MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "yaml", "jsonpickle", "joblib"}
CALLS = {"eval", "exec", "compile", "recv_pyobj", "send_pyobj", "recv_json", "__import__"}
HOOKS = {"object_hook", "ext_hook", "object_pairs_hook"}
FOLDERS = ("glatd", "engines", "clients")


def test_nothing_is_unpickled_and_nothing_evaluated() -> None:
    found, looked = [], 0
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            looked += 1
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                names: set[str] = set()
                if isinstance(node, ast.Import):
                    names = {alias.name.partition(".")[0] for alias in node.names} & MODULES
                elif isinstance(node, ast.ImportFrom):
                    names = {(node.module or "").partition(".")[0]} & MODULES
                elif isinstance(node, ast.Call):
                    called = node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")
                    # `re.compile` and a runtime's own `compile_model` are none; the built-in stands alone.
                    alone = isinstance(node.func, ast.Name) or called.startswith(("recv_", "send_"))
                    names = ({called} & CALLS if alone else set()) | {word.arg or "" for word in node.keywords} & HOOKS
                if names:
                    found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {', '.join(sorted(names))}")
    assert looked > 50 and not found, "\n".join(found)
