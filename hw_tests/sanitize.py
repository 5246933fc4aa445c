"""The C engine under AddressSanitizer, UBSan and LeakSanitizer: `make sanitize`.

    python -m hw_tests.sanitize --networks 5000

builds the engine in a folder of its own and runs the fuzz, the tests of both engines and of the
emulator, and looks for leaks whose stack goes through the engine (an interpreter leaks, too).
Integers wrap as NumPy's do by -fwrapv, which makes that defined, so UBSan does not report it; the
engine has one clone of each function here, as the loader's choice comes before the sanitizer.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ENGINE = ROOT / "backends" / "emulator" / "engine.c"
NAME = "spikeport.backends._engine"
CHECKS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
COMMON = (
    *("-std=gnu11", "-O1", "-g", "-fno-omit-frame-pointer", "-fwrapv", "-fPIC", "-shared"),
    *("-pthread", "-DSPIKEPORT_ONE_CLONE"),
)
TESTS = (
    "hw_tests/contract/test_engines.py",
    "hw_tests/unit/test_emulator.py",
    "hw_tests/unit/test_mesh_time.py",
)
LEAK = re.compile(r"^(?:Direct|Indirect) leak of .*?(?=^\s*$)", re.MULTILINE | re.DOTALL)
REPEATS = 20
EARLY = "ignore::pytest.PytestAssertRewriteWarning"  # spikeport is imported before pytest


def build(folder: Path, checks: tuple[str, ...] = CHECKS) -> Path:
    """Compile the engine with sanitizers and return the module's file."""
    made = folder / "_engine.so"
    include = sysconfig.get_path("include")
    compiler = os.environ.get("CC", "gcc")
    command = [compiler, *COMMON, *checks, f"-I{include}", str(ENGINE), "-o", str(made)]
    subprocess.run(command, check=True)
    return made


def use(path: str) -> None:
    """Make a built engine the one that this process runs."""
    import spikeport.backends as backends

    spec = importlib.util.spec_from_file_location(NAME, path)
    if spec is None or spec.loader is None:
        raise ImportError(path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[NAME] = module
    spec.loader.exec_module(module)
    backends._engine = module  # type: ignore[attr-defined]


def run_again_and_again(seeds: range) -> None:
    """Run networks many times over, on C alone: what a run forgets adds up."""
    from hw_tests.generate.programs import random_program
    from spikeport.backends import emulator

    for seed in seeds:
        drawn = random_program(seed)
        for threads in [1, 2] * (REPEATS // 2):
            emulator.run(drawn.noun, drawn.inputs, drawn.steps, engine="c", threads=threads)


def ask(made: Path, script: str, **options: str) -> subprocess.CompletedProcess[str]:
    """Run a script on a built engine, with the sanitizers' library in front."""
    compiler = os.environ.get("CC", "gcc")
    library = subprocess.run(
        [compiler, "-print-file-name=libasan.so"], check=True, capture_output=True, text=True
    ).stdout.strip()
    environment = {
        "LD_PRELOAD": library,
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1",
        "UBSAN_OPTIONS": "print_stacktrace=1",
        **options,
    }
    code = f"import sys\nfrom hw_tests import sanitize\nsanitize.use({str(made)!r})\n{script}"
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=os.environ | environment, text=True
    )


def leaks(made: Path, folder: Path) -> list[str]:
    """Return the reports of leaks whose stack goes through the engine."""
    logs = folder / "leaks"
    done = ask(
        made,
        "sanitize.run_again_and_again(range(12))",
        ASAN_OPTIONS=f"detect_leaks=1:exitcode=0:fast_unwind_on_malloc=0:log_path={logs}",
        PYTHONMALLOC="malloc",
    )
    found = "".join(path.read_text() for path in folder.glob("leaks.*"))
    if done.returncode or "LeakSanitizer" not in found:
        return [f"LeakSanitizer did not run: exit code {done.returncode}\n{found[:2000]}"]
    ours = (made.name, f"{ENGINE.parent}/")  # the module, or a source of it
    return [each for each in LEAK.findall(found + "\n") if any(one in each for one in ours)]


def main(arguments: list[str] | None = None) -> int:
    """Build, run everything, and return 1 where a sanitizer or a test complained."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--networks", type=int, default=5000)
    given = parser.parse_args(arguments)
    fuzz = ["--networks", str(given.networks)]
    tests = ["-q", "-p", "no:cacheprovider", "-W", EARLY, *TESTS]
    with tempfile.TemporaryDirectory() as made_in:
        folder = Path(made_in)
        made = build(folder)
        print(f"built: {shlex.join(CHECKS)}", flush=True)
        scripts = {
            "fuzz": f"from hw_tests.fuzz_engine import main\nsys.exit(main({fuzz!r}))",
            "tests": f"import pytest\nsys.exit(pytest.main({tests!r}))",
        }
        wrong = [name for name, script in scripts.items() if ask(made, script).returncode]
        lost = leaks(made, folder)
    for each in lost:
        print(each)
    print(f"sanitizers: {'; '.join(wrong) or 'nothing'} failed, {len(lost)} leaks of the engine")
    return int(bool(wrong or lost))


if __name__ == "__main__":
    sys.exit(main())
