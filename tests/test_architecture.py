"""The plan of the house: who may import whom, and how large a file, a function and a layer may grow."""

import ast
import graphlib
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "jgraph"

# From the ground up. A file imports from its own room and from lower floors, never from the room next door.
FLOORS = (
    ("errors", "typing"),
    ("ops", "draw", "metrics", "tree", "keys", "arrays", "parse"),
    (
        "initializers",
        "regularizers",
        "constraints",
        "core",
        "storage",
        "losses",
        "data",
        "balance",
        "optimizers",
        "sharding",
    ),
    ("layers", "inspect", "saving", "train"),
    ("callbacks", "debug", "interop"),
    ("trainer",),
    ("__init__",),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS, 1) for room in rooms}

HEAVY = ("equinox", "flax", "grain", "matplotlib", "orbax", "rich", "scipy", "tensorboardX")
"""Packages that are slow to import: each is the business of one file, and imported by the function that needs it."""

FILE_LINES, FUNCTION_LINES, LAYER_LINES = 400, 60, 25

MUTABLE = (ast.Dict, ast.DictComp, ast.List, ast.ListComp, ast.Set, ast.SetComp)
MUTABLE_TYPES = {"Counter", "OrderedDict", "bytearray", "count", "defaultdict", "deque", "dict", "list", "local", "set"}
MUTABLE_TYPES |= {"ContextVar", "WeakKeyDictionary", "WeakSet", "WeakValueDictionary"}
MUTATORS = {"add", "append", "clear", "discard", "extend", "insert", "pop", "popitem", "remove", "setdefault", "update"}


class Module:
    """A parsed file of jgraph; `name` is what is imported, `room` the first folder or file below jgraph."""

    def __init__(self, path: Path) -> None:
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        self.is_face = parts[-1] == "__init__"
        self.name = ".".join(parts[:-1] if self.is_face else parts)
        self.room = parts[1]
        self.text = path.read_text(encoding="utf-8")
        self.tree = ast.parse(self.text)

    def __repr__(self) -> str:
        return self.name

    def functions(self) -> Iterator[ast.FunctionDef]:
        return (node for node in ast.walk(self.tree) if isinstance(node, ast.FunctionDef))

    def top_imports(self) -> list[ast.Import | ast.ImportFrom]:
        """What stands at the top, or in a `try` there, as what a platform may lack."""
        tried = [below for node in self.tree.body if isinstance(node, ast.Try) for below in node.body]
        return [node for node in [*self.tree.body, *tried] if isinstance(node, (ast.Import, ast.ImportFrom))]

    def typing_imports(self) -> list[ast.Import | ast.ImportFrom]:
        """What stands in a top-level `if TYPE_CHECKING:`."""
        blocks = [
            node for node in self.tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        ]
        return [node for block in blocks for node in block.body if isinstance(node, (ast.Import, ast.ImportFrom))]

    def all_imports(self) -> list[ast.Import | ast.ImportFrom]:
        return [node for node in ast.walk(self.tree) if isinstance(node, (ast.Import, ast.ImportFrom))]

    def targets(self) -> list[tuple[str, str | None]]:
        """What is imported from jgraph: `(module, name)`, the name `None` where the module itself is imported."""
        found: list[tuple[str, str | None]] = []
        for node in self.all_imports():
            if isinstance(node, ast.Import):
                found += [(a.name, None) for a in node.names if a.name.split(".")[0] == "jgraph"]
            elif (node.module or "").split(".")[0] == "jgraph":
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    other = node.module != self.name and node.module in BY_NAME
                    bound = other and alias.name in BY_NAME[node.module or ""].bindings()
                    found.append((inner, None) if inner in BY_NAME and not bound else (node.module or "", alias.name))
        return found

    def definitions(self) -> set[str]:
        """The names that a class, a function or an assignment at the top of this file makes."""
        names = set()
        for node in self.tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                names.add(node.name)
            elif isinstance(node, (ast.Assign, ast.AnnAssign)):
                names |= {n.id for target in _targets(node) for n in ast.walk(target) if isinstance(n, ast.Name)}
        return names

    def bindings(self) -> set[str]:
        """The definitions and what is imported from elsewhere: all that `from this import name` can find."""
        aliases = [alias for node in self.top_imports() for alias in node.names]
        return self.definitions() | {alias.asname or alias.name.split(".")[0] for alias in aliases}


def _targets(node: ast.Assign | ast.AnnAssign) -> list[ast.expr]:
    return node.targets if isinstance(node, ast.Assign) else [node.target]


MODULES = [Module(path) for path in sorted(ROOT.rglob("*.py"))]
BY_NAME = {module.name: module for module in MODULES}
EVERY_MODULE = pytest.mark.parametrize("module", MODULES, ids=repr)


def _room_of(name: str) -> str:
    return (*name.split("."), "__init__")[1]


def _where(module: Module, node: ast.stmt | ast.expr) -> str:
    return f"{module.name}, line {node.lineno}"


@EVERY_MODULE
def test_every_room_has_a_floor(module: Module) -> None:
    assert module.room in FLOOR, f"jgraph/{module.room} stands on no floor: add it to FLOORS here and to the design"


@EVERY_MODULE
def test_imports_go_down(module: Module) -> None:
    for target, name in module.targets():
        room = _room_of(target)
        assert room == module.room or FLOOR.get(room, 99) < FLOOR[module.room], (
            f"{module.name} (floor {FLOOR[module.room]}) imports {name or 'the module'} from {target} "
            f"(floor {FLOOR.get(room)})"
        )


@EVERY_MODULE
def test_names_come_from_the_module_that_defines_them(module: Module) -> None:
    for target, name in module.targets():
        assert target in BY_NAME, f"{module.name} imports {target}, which does not exist"
        if name is not None and not module.is_face:
            assert name in BY_NAME[target].definitions(), (
                f"{module.name} imports {name} from {target}, which has it from elsewhere"
            )


def test_no_import_circle() -> None:
    graph = {module.name: {target for target, _ in module.targets()} - {module.name} for module in MODULES}
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        pytest.fail("modules import each other: " + " <- ".join(error.args[1]))


@EVERY_MODULE
def test_imports_are_absolute_and_stand_at_the_top(module: Module) -> None:
    light = [*module.top_imports(), *module.typing_imports()]
    for node in module.all_imports():
        assert isinstance(node, ast.Import) or node.level == 0, f"{_where(module, node)}: a relative import"
        for package in _packages(node):
            at_the_top = node in light
            assert at_the_top or package in HEAVY, f"{_where(module, node)}: {package} is imported in a function"
            assert node not in module.top_imports() or package not in HEAVY, (
                f"{_where(module, node)}: {package} is slow to import; import it in the function that uses it"
            )


def test_each_heavy_package_has_one_file() -> None:
    users: dict[str, set[str]] = {}
    for module in MODULES:
        for node in module.all_imports():
            if node not in module.typing_imports():
                for package in _packages(node):
                    users.setdefault(package, set()).add(module.name)
    shared = {package: sorted(users.get(package, ())) for package in HEAVY if len(users.get(package, ())) > 1}
    assert not shared, f"one file each, as its whole face to jgraph: {shared}"


def _packages(node: ast.Import | ast.ImportFrom) -> set[str]:
    names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
    return {name.split(".")[0] for name in names}


@EVERY_MODULE
def test_faces_list_names_one_a_line(module: Module) -> None:
    if module.is_face:
        for node in module.tree.body[1:]:
            assert isinstance(node, ast.ImportFrom), f"{_where(module, node)}: a face only imports names"
            names = [(alias.name, alias.asname) for alias in node.names]
            assert len(names) == 1, f"{_where(module, node)}: one name a line"
            assert names[0][0] == names[0][1], f"{_where(module, node)}: write `import {names[0][0]} as {names[0][0]}`"


@EVERY_MODULE
def test_modules_say_what_they_hold(module: Module) -> None:
    assert ast.get_docstring(module.tree), f"{module.name} has no docstring"


@EVERY_MODULE
def test_files_and_functions_stay_small(module: Module) -> None:
    lines = len(module.text.splitlines())
    assert lines <= FILE_LINES, f"{module.name} has {lines} lines, more than {FILE_LINES}"
    for function in module.functions():
        length = (function.end_lineno or 0) - function.lineno + 1
        assert length <= FUNCTION_LINES, f"{_where(module, function)}: {function.name} has {length} lines"


@EVERY_MODULE
def test_layers_stay_small(module: Module) -> None:
    """Counts the lines of code in the bodies of all methods of a layer but `__post_init__`, which checks arguments.

    Fields, signatures, docstrings, comments and blank lines are not counted.
    """
    if module.room == "layers":
        coded = _lines_with_code(module.text)
        for node in (node for node in ast.walk(module.tree) if isinstance(node, ast.ClassDef)):
            methods = [m for m in node.body if isinstance(m, ast.FunctionDef) and m.name != "__post_init__"]
            body = [s for m in methods for s in (m.body[1:] if ast.get_docstring(m) else m.body)]
            length = len({line for s in body for line in range(s.lineno, (s.end_lineno or 0) + 1)} & coded)
            assert length <= LAYER_LINES, f"{_where(module, node)}: {node.name} has {length} lines of code"


def _lines_with_code(text: str) -> set[int]:
    silent = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER)
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in silent]
    return {line for token in tokens for line in range(token.start[0], token.end[0] + 1)}


@EVERY_MODULE
def test_nothing_is_left_undone_or_switched_off(module: Module) -> None:
    found = re.findall(r"TODO|FIXME|XXX|HACK|raise NotImplementedError|type: ignore.*|pragma: no cover", module.text)
    assert not found, f"{module.name}: {found}"


@EVERY_MODULE
def test_nothing_is_remembered_globally(module: Module) -> None:
    """Only a constant table, written in capitals, may be mutable by type; and nobody mutates it."""
    for node in ast.walk(module.tree):
        assert not isinstance(node, ast.Global), f"{_where(module, node)}: a global statement"
    tables = set()
    for node in module.tree.body:
        assert not isinstance(node, (ast.AugAssign, ast.For, ast.While, ast.With)), (
            f"{_where(module, node)}: runs on import"
        )
        if isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, MUTABLE):
            names = {target.id for target in _targets(node) if isinstance(target, ast.Name)}
            tables |= names
            assert all(name.isupper() for name in names), (
                f"{_where(module, node)}: {names} is mutable; a table is in CAPITALS"
            )
        elif isinstance(node, (ast.Assign, ast.AnnAssign)) and isinstance(node.value, ast.Call):
            called = ast.unparse(node.value.func).split(".")[-1]
            assert called not in MUTABLE_TYPES, f"{_where(module, node)}: a global {called}"
    imported = {name for _, name in module.targets() if name is not None and name.isupper()}
    for node in ast.walk(module.tree):
        changed = _changed(node)
        assert changed not in tables | imported, f"{module.name} changes the table {changed}"


def _changed(node: ast.AST) -> str | None:
    """The name that a statement changes in place: `NAME[...] = `, `del NAME[...]`, `NAME.append(...)`."""
    if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
        return node.value.id if isinstance(node.value, ast.Name) else None
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
        return node.func.value.id if isinstance(node.func.value, ast.Name) else None
    return None
