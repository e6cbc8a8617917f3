"""What ARCHITECTURE.md says of the whole: who may import whom, and what is found where."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections import defaultdict

import pytest
from source_code import PACKAGES, ROOT, Module, modules

from shared.errors import error_classes

MAY_IMPORT = {
    "cli": {"cli", "client", "gateway", "shared", "worker"},
    "client": {"client"},
    "gateway": {"gateway", "shared"},
    "shared": {"shared"},
    "worker": {"shared", "worker"},
}

HEAVY = {
    "ctranslate2", "faster_whisper", "obstore", "onnxruntime", "opencc", "pyannote", "torch",
    "whisper", "whisperx",
}  # fmt: skip
"""Libraries that take long, or much memory, to import: only inside what uses them."""

AT_ONCE = {
    "worker/demo_voices.py": "imported by pyannote, as a checkpoint names it",
    "worker/diarization/pyannote_clustering.py": "imported by `pyannote_pipeline.py`",
    "worker/diarization/pyannote_pipeline.py": "imported by `open_pyannote_diarizer`",
    "worker/engines/ctranslate2_engine.py": "the base of faster_whisper.py and whisperx.py",
    "worker/engines/live_decoder.py": "imported by `CTranslate2Engine.live_decoder`",
    "worker/engines/faster_whisper.py": "imported by `open_engine` when an operator chose it",
    "worker/live/policy.py": "imported by the engine process of a worker with live sessions",
    "worker/live/service.py": "imported by the engine process of a worker with live sessions",
    "worker/live/transcriber.py": "imported by `service.py`",
    "worker/engines/openai_whisper.py": "imported by `open_engine` when an operator chose it",
    "worker/engines/penalties.py": "a part of openai_whisper.py",
    "worker/engines/whisperx.py": "imported by `open_engine` when an operator chose it",
}
"""Modules that may import heavy libraries at once, and why nobody pays who does not use them."""

MODULES = modules()


def roots(names):
    return {name.partition(".")[0] for name in names}


def test_a_package_imports_only_those_it_may():
    ours = {m.path: roots(m.imports(for_types=True)) & set(PACKAGES) for m in MODULES}
    others = {m.path: ours[m.path] - MAY_IMPORT[m.package] for m in MODULES}

    assert {path: names for path, names in others.items() if names} == {}


def environment_reads(module):
    names = "environb?|getenvb?|putenv|unsetenv"
    reading = re.compile(rf"os\.({names})|from os import .*(environ|env).*")
    nodes = (n for n in ast.walk(module.tree) if isinstance(n, ast.Attribute | ast.ImportFrom))
    return {text for text in map(ast.unparse, nodes) if reading.fullmatch(text)}


def test_only_settings_read_the_environment():
    reads = {m.path: environment_reads(m) for m in MODULES if not m.path.endswith("/settings.py")}

    assert {path: texts for path, texts in reads.items() if texts} == {}


def test_heavy_libraries_are_imported_inside_what_uses_them():
    heavy = {m.path: roots(m.imports(when_imported=True)) & HEAVY for m in MODULES}

    assert {p: names for p, names in heavy.items() if names and p not in AT_ONCE} == {}


def test_a_module_with_heavy_libraries_is_imported_inside_what_uses_it():
    heavy = {Module(path).name for path in AT_ONCE}
    others = [module for module in MODULES if module.path not in AT_ONCE]
    imported = {m.path: m.imports(when_imported=True) & heavy for m in others}

    assert {path: names for path, names in imported.items() if names} == {}
    assert all(Module(path) in MODULES for path in AT_ONCE)


def test_neither_gateway_nor_cli_nor_shared_imports_numpy():
    without = modules("gateway", "cli", "shared")

    assert [m.path for m in without if "numpy" in roots(m.imports())] == []


def part_of_shared(name):
    """The module, or the folder, of `shared/` that a dotted name belongs to."""
    return ".".join(name.split(".")[:2])


def users_of_shared():
    """Which packages import each module or folder of `shared/` themselves; `shared` is one."""
    names = {module.name for module in modules("shared")} - {"shared"}
    users = {part_of_shared(name): set() for name in names}
    for module in MODULES:
        for part in {part_of_shared(n) for n in module.imports(for_types=True) & names}:
            if part != part_of_shared(module.name):
                users[part].add(module.package)
    return users


def test_a_shared_module_has_two_users():
    assert {part: by for part, by in users_of_shared().items() if len(by) < 2} == {}


def spelled_keys(module):
    """Text constants of a module that hold a key of Redis; docstrings may name keys."""
    texts = {
        node.value
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    told = {ast.get_docstring(node, clean=False) for node in documented_nodes(module.tree)}
    return [text for text in texts - told if re.search(r"longhand:\w", text)]


def test_keys_of_redis_are_spelled_in_one_module():
    spelled = {m.path: spelled_keys(m) for m in MODULES if m.path != "shared/keys.py"}

    assert {path: texts for path, texts in spelled.items() if texts} == {}


@pytest.mark.parametrize("module", modules("gateway", "cli"), ids=lambda m: m.path)
def test_jobs_are_read_and_moved_through_jobs_alone(module):
    of_others = {
        "BATCH", "BATCH_IDEMPOTENCY", "CHOSEN_MODEL", "EVENTS", "EVENTS_KEPT", "LIVE_AUDIO",
        "LIVE_ENDED", "LIVE_GATEWAY", "LIVE_SAID", "LIVE_SESSION", "LIVE_UPDATES", "RATES",
        "SWEEPER", "UPLOAD", "UPLOADS", "UPLOAD_PARTS", "UPLOAD_TAKEN", "WALKED",
    }  # fmt: skip
    keys = {n.removeprefix("shared.keys.") for n in module.imports() if "shared.keys." in n}

    assert keys - of_others == set()
    assert module.imports() & {"shared.jobs.moves", "shared.jobs.scripts"} == set()


def documented_nodes(tree):
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    return [node for node in ast.walk(tree) if isinstance(node, kinds)]


def rooms(package):
    """ARCHITECTURE.md's rooms of a package, the lowest first."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    table = text.split(f"| rooms of `{package}/` |", 1)[1].split("\n\n", 1)[0]
    rows = [row.split("|")[1] for row in table.splitlines()[2:]]
    return [room for row in reversed(rows) for room in reversed(re.findall("`([^`]+)`", row))]


def room_of(name):
    return name.split(".")[1]


@pytest.mark.parametrize("package", ["gateway", "worker"])
def test_imports_go_down_from_room_to_room(package):
    rank = {room: n for n, room in enumerate(rooms(package))}
    inside = {m.name: m for m in modules(package) if m.name != package}
    upward = {
        f"{name} -> {imported}"
        for name, module in inside.items()
        for imported in module.imports() & inside.keys()
        if rank[room_of(imported)] > rank[room_of(name)]
    }

    assert upward == set()
    assert {room_of(name) for name in inside} == set(rank)


@pytest.mark.parametrize("package", ["gateway", "worker"])
def test_at_most_ten_files_stand_at_a_root(package):
    assert len(list((ROOT / package).glob("*.py"))) <= 10


def test_every_error_has_an_http_status():
    from gateway.errors import STATUSES

    assert set(STATUSES) == set(error_classes())


def test_no_module_has_the_name_of_a_standard_one():
    names = {m.path: m.name.rpartition(".")[2] for m in modules(*PACKAGES, "models", "tools")}

    assert {path for path, name in names.items() if name in sys.stdlib_module_names} == set()


def test_there_is_no_drawer_for_odds_and_ends():
    odd = re.compile("utils?|helpers?|common|misc|data|info|base_.*|.*_(manager|handler|utils)")

    assert [m.path for m in MODULES if odd.fullmatch(m.name.rpartition(".")[2])] == []


def test_a_file_ends_within_three_hundred_lines():
    assert [m.path for m in MODULES if len(m.text.splitlines()) > 300] == []


def test_a_function_ends_within_forty_lines():
    lengths = {name: n for module in MODULES for name, n in module.function_lengths().items()}

    assert {name: n for name, n in lengths.items() if n > 40} == {}


def test_no_ten_lines_are_said_in_two_places():
    places = defaultdict(list)
    for module in MODULES:
        lines = module.statement_lines()
        for i in range(len(lines) - 9):
            said = tuple(line for _, line in lines[i : i + 10])
            places[said].append(f"{module.path}:{lines[i][0]}")

    assert [where for where in places.values() if len(where) > 1] == []


def test_every_module_begins_with_what_lives_in_it():
    assert [m.path for m in MODULES if m.text.strip() and not ast.get_docstring(m.tree)] == []


def loaded_after(program, *arguments):
    """Roots of the modules a fresh process holds after running a program."""
    tell = "import json, sys\nprint(json.dumps(sorted({n.split('.')[0] for n in sys.modules})))"
    finished = subprocess.run(
        [sys.executable, "-c", f"{program}\n{tell}", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr
    return set(json.loads(finished.stdout.splitlines()[-1]))


def test_the_gateway_loads_no_model_library_and_no_worker():
    loaded = loaded_after("import gateway.__main__, gateway.app")

    assert loaded & (HEAVY | {"numpy", "worker", "cli"}) == set()


def test_a_workers_parent_process_loads_no_model_library():
    loaded = loaded_after("import worker.__main__")

    assert loaded & (HEAVY | {"numpy", "gateway", "cli", "flask"}) == set()


def test_help_is_printed_without_loading_what_commands_need():
    program = "from cli.__main__ import longhand\nlonghand.main(['--help'], standalone_mode=False)"

    assert loaded_after(program) & (HEAVY | {"flask", "redis", "rq", "numpy"}) == set()


def journey():
    """`(file, function)` of every row of ARCHITECTURE.md's journey of one request."""
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    section = text.split("## One request's journey", 1)[1].split("\n## ", 1)[0]
    for row in re.findall(r"^\|\s*\d+\s*\|([^|]*)\|([^|]*)\|", section, flags=re.MULTILINE):
        files, functions = (re.findall("`([^`]+)`", cell) for cell in row)
        assert len(files) == 1, f"a row names one file: {row}"
        for function in functions:
            yield files[0], function


def test_the_journey_of_a_request_is_told_by_functions_that_exist():
    told = list(journey())

    assert len(told) > 10
    assert [(f, n) for f, n in told if n not in Module(f).definitions()] == []


def test_from_a_route_to_its_slip_the_journey_names_at_most_eight_files():
    files = [file for file, _ in journey()]
    first = files.index("gateway/routes/transcribe.py")
    last = next(n for n, file in enumerate(files) if file.endswith("/delivery.py"))

    assert len(set(files[first : last + 1])) <= 8


def test_every_file_that_the_guides_name_exists():
    named = re.compile(
        r"`((?:cli|client|deploy|docs|gateway|models|shared|tests|tools|worker)/[\w./-]*)`"
    )
    guides = (
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "docs/http.md",
        "docs/operating.md",
        "docs/deploy.md",
    )
    paths = {p for g in guides for p in named.findall((ROOT / g).read_text(encoding="utf-8"))}

    paths = {path for path in paths if not path.startswith("deploy/secrets/")}  # written by setup
    assert [path for path in sorted(paths) if not (ROOT / path).exists()] == []
