"""The rules of the house, each as a test that says what to mend."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: Folder -> what its files may import of ours; `spikeport` is the face.
MAY_IMPORT = {
    "compiler": {"compiler"},
    "models": {"compiler", "models"},
    "backends": {"compiler", "models", "backends"},
    "spikeport": {"compiler", "models", "backends", "spikeport"},
}
#: Bundles run in another interpreter, where spikeport is not.
BUNDLES = "backends/lava/run_*.py"
#: Other frameworks -> the only files that may import them; GPL peers and giants: none.
PEERS = {
    "lava": BUNDLES,
    "brian2": "backends/brian2/*.py",
    **dict.fromkeys(("torch", "sanafe", "rockpool", "samna", "sinabs"), "nowhere"),
}
SOURCES = sorted(path for folder in MAY_IMPORT for path in (ROOT / folder).rglob("*.py"))
FOLDERS = sorted(path.parent for path in SOURCES if path.name == "__init__.py")


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module(folder: Path) -> str:
    name = short(folder).replace("/", ".")
    return name if name.split(".")[0] == "spikeport" else f"spikeport.{name}"


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Yield line and dotted name of every import, wherever in the file it stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            dots = "." * node.level
            yield from ((node.lineno, f"{dots}{node.module}.{alias.name}") for alias in node.names)


def owner(name: str) -> str:
    """Return which of our folders holds the imported name; "" when it is not ours."""
    first, _, rest = name.partition(".")
    if first != "spikeport":
        return ""
    second = rest.split(".")[0]
    return second if second in MAY_IMPORT else "spikeport"


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_imports_go_one_way(path):
    allowed = MAY_IMPORT[short(path).split("/")[0]]
    wrong = [
        f"{short(path)}:{at} {name}"
        for at, name in imports(path)
        if name.startswith(".") or (owner(name) and owner(name) not in allowed)
    ]
    assert not wrong, (
        f"imports go compiler <- models <- backends <- spikeport, by full name: {wrong}"
    )


@pytest.mark.parametrize("path", SOURCES, ids=short)
def test_other_frameworks_stay_outside(path):
    wrong = [
        f"{short(path)}:{at} {name}"
        for at, name in imports(path)
        if not fnmatch(short(path), PEERS.get(name.split(".")[0], "*"))
    ]
    assert not wrong, f"move what needs the framework into its bundle or its backend: {wrong}"


@pytest.mark.parametrize("path", [p for p in SOURCES if fnmatch(short(p), BUNDLES)], ids=short)
def test_a_bundle_needs_only_what_lava_brings(path):
    there = {"lava", "numpy", "scipy", *sys.stdlib_module_names}
    assert {name.split(".")[0] for _, name in imports(path)} <= there


def test_every_folder_is_packaged():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert sorted(settings["packages"]) == sorted(map(module, FOLDERS)), (
        "list every folder that has an __init__.py under [tool.setuptools] packages"
    )


def test_every_source_file_lies_in_a_packaged_folder():
    assert {path.parent for path in SOURCES} == set(FOLDERS), "a folder lacks its __init__.py"


@pytest.mark.parametrize("folder", FOLDERS, ids=short)
def test_every_folder_has_a_caption(folder):
    caption = ast.get_docstring(ast.parse((folder / "__init__.py").read_text()))
    assert caption, f"say in {short(folder)}/__init__.py what the folder is for"
    assert caption.splitlines()[0].endswith((".", ":")), "the caption's first line is a sentence"


def test_links_mirror_the_folders():
    links = ROOT / ".links" / "spikeport"
    if not links.exists():
        pytest.skip("not a checkout: .links is only there")
    entries = [
        path
        for path in (ROOT / "spikeport").iterdir()
        if path.name != "__pycache__" and path.suffix != ".so"
    ]
    real = {ROOT / "compiler", ROOT / "models", ROOT / "backends", *entries}
    shown = {link.name: link.resolve() for link in links.iterdir() if link.is_symlink()}
    assert shown == {path.name: path for path in real}, "run: make links"


def tracked() -> list[Path]:
    """Return the files that git tracks or would add."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listed.decode().split("\0") if name]


def test_no_file_names_a_place_on_one_machine():
    place = re.compile(rb"(?<![\w.:/*-])/(?:home|root|Users|work|opt)/\w|/tmp/[a-z]/|[A-Z]:\\Users")
    wrong = {
        short(path): found[0]
        for path in tracked()
        if path.is_file() and (found := place.search(path.read_bytes()))
    }
    assert not wrong, f"write a path relative to the file, or let the user give it: {wrong}"


def test_no_file_names_a_package_index():
    index = re.compile(
        rb"https?://[^\s\"']*/simple\b|files\.pythonhosted|file:/{3}"
        rb"|--(?:extra-)?index-url[ =]+\S|--find-links[ =]+\S"
    )
    wrong = {
        short(path): found[0]
        for path in tracked()
        if path.is_file() and (found := index.search(path.read_bytes()))
    }
    assert not wrong, f"leave the index to each machine's own settings: {wrong}"


def test_no_link_leaves_the_repository():
    wrong = [
        short(path)
        for path in tracked()
        if path.is_symlink() and not path.resolve().is_relative_to(ROOT)
    ]
    assert not wrong


@pytest.mark.parametrize("name", ["constraints.txt", "constraints-lava.txt"])
def test_constraints_are_versions_and_nothing_else(name):
    lines = (ROOT / name).read_text().splitlines()
    wrong = [line for line in lines if not re.fullmatch(r"#.*|[\w.-]+==[\w.+!]+( ; .+)?", line)]
    assert not wrong, f"run: make constraints ({wrong})"


def test_help_imports_nothing_heavy():
    code = "import sys; sys.argv = ['spikeport', '--help']; from spikeport.cli import main; main()"
    told = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "cannot import name 'main'" in told.stderr:
        pytest.skip("spikeport.cli has no main yet")
    assert told.returncode == 0, told.stderr[-2000:]
    imported = set(re.findall(r"^import time:.*\| +([\w]+)", told.stderr, re.MULTILINE))
    heavy = imported & {
        "scipy", "h5py", "jinja2", "pydantic", "nir", "sklearn", "ruamel", "jax", "jaxlib", "optax",
        "mlxtend",
    }  # fmt: skip
    assert not heavy, "import it where it is used, not at the top of a file that --help reaches"
