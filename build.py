#!/usr/bin/env python3
"""Brakeline's one task entry: `python build.py VERB`. It needs Python 3.11 and nothing else; the rest it installs.

The part above `main` is stdlib only: it makes `.venv` from the hash-checked root lock and starts itself there.
"""

import argparse
import hashlib
import importlib.util
import os
import platform
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HOUSE = Path(__file__).resolve().parent
VENV = HOUSE / ".venv"
# Everything that work on Brakeline takes, one version of each; and of it what running takes, for a short first hour.
LOCK = HOUSE / "requirements.lock"
RUN_LOCK = HOUSE / "requirements-run.lock"
NOTEBOOKS = HOUSE / "notebooks"
PACKAGES = (
    "steps/kit", "steps/synthesize", "steps/train", "steps/validate", "steps/register", "steps/deploy",
    "orchestrator", "serving", "serving/client", "steps/base", "notebooks",
)  # fmt: skip
RECORDED = HOUSE / "tests" / "data" / "recorded_stops.csv"
LEAST_PYTHON = (3, 11)


def say(message: str) -> None:
    """A line for whoever waits; stdout is for results."""
    print(message, file=sys.stderr, flush=True)


def check_machine() -> None:
    """Say at once what is missing, and how to get it."""
    if sys.version_info < LEAST_PYTHON:
        sys.exit(
            f"build.py needs Python {'.'.join(map(str, LEAST_PYTHON))} or newer, found {platform.python_version()}"
        )
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        say(
            f"{platform.system()} {platform.machine()}: only Linux x86-64 is supported. Where wheels exist the process "
            "runner may work; equal bytes, images and the container runners are not promised."
        )
    missing = [name for name in ("venv", "ensurepip") if not _importable(name)]
    if missing and not shutil.which("uv"):
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        sys.exit(
            f"this Python has no {' and no '.join(missing)}, which a virtual environment needs.\n"
            f"On Debian or Ubuntu: apt-get install python3-venv   (or python{version}-venv)\n"
            "On Fedora or RHEL:   dnf install python3-pip\n"
            "Or install uv; build.py uses it where it is."
        )


def ensure_environment(venv: Path = VENV, lock: Path = LOCK) -> None:
    """Make an environment from its lock if it is not there or not of this lock; a killed set-up is done anew.

    One of the whole root lock does for running too.
    """
    stamp, wanted = venv / "brakeline.stamp", _fingerprint(lock)
    fitting = {wanted, _fingerprint(LOCK)} if lock == RUN_LOCK else {wanted}
    if stamp.is_file() and stamp.read_text() in fitting:
        return
    with (HOUSE / ".venv.lock").open("w") as guard:
        _lock(guard.fileno())
        if stamp.is_file() and stamp.read_text() in fitting:
            return
        say(f"setting up {venv} from {lock}: a minute or three, the first time only")
        stamp.unlink(missing_ok=True)
        uv = shutil.which("uv")
        python = venv / "bin" / "python"
        # One that uv made has no pip in it: without uv it gets one.
        if not python.exists() or not (uv or (venv / "bin" / "pip").exists()):
            command = [uv, "venv", "-q", str(venv)] if uv else [sys.executable, "-m", "venv", str(venv)]
            _install(command, f"making {venv}")
        install = [uv, "pip", "install", "-q", "--compile-bytecode", "--python", str(python)] if uv else [
            str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check",
        ]  # fmt: skip
        # The lock is whole. pip would resolve once more, and ask a pin of its own for a package that another one wants
        # with an extra.
        _install([*install, "--no-deps", "--require-hashes", "-r", str(lock)], "installing the locked packages")
        editable = [word for package in PACKAGES for word in ("--editable", str(HOUSE / package))]
        _install([*install, "--no-deps", "--no-build-isolation", *editable], "installing Brakeline's own packages")
        stamp.write_text(wanted)


def enter_environment() -> None:
    """Go on inside `.venv`, with its commands first on PATH."""
    if Path(sys.prefix).resolve() == VENV.resolve():
        return
    os.environ["PATH"] = f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    os.environ.pop("PYTHONHOME", None)
    os.execv(_venv_python(), [str(_venv_python()), str(HOUSE / "build.py"), *sys.argv[1:]])


def images(arguments: list[str]) -> int:
    """Build the step microimages and the server's: what changed, by content (the default verb)."""
    return _call("brakeline-images", *arguments, folder=Path.cwd())


def manifests(arguments: list[str]) -> int:
    """An overlay of manifests/ as it would be applied; with --check, what an installation has not set yet."""
    return _call("python", "-m", "brakeline_images.render", *arguments, folder=Path.cwd())


def notebooks(arguments: list[str]) -> int:
    """JupyterLab on notebooks/, in an environment of its own lock; options are JupyterLab's, as --no-browser."""
    ensure_environment(NOTEBOOKS / ".venv", NOTEBOOKS / "requirements.lock")
    return _call(str(NOTEBOOKS / ".venv" / "bin" / "brakeline-notebooks"), "lab", *arguments)


def run(arguments: list[str]) -> int:
    """The pipeline end to end: server, five steps, and a client that asks the deployed model."""
    recorded = [] if "--recorded" in arguments or not RECORDED.is_file() else ["--recorded", str(RECORDED)]
    state = [] if "--state" in arguments else ["--state", str(HOUSE / ".brakeline")]
    return _call("brakeline", "demo", *recorded, *state, *arguments, folder=Path.cwd())


def test(arguments: list[str]) -> int:
    """The default suite, or with --all the long tests too; `contract --step FILE`: the step contract, of any step."""
    if arguments[:1] == ["contract"]:
        rest = arguments[1:]
        if "--step" in rest[:-1]:
            # Pytest is run from here; the file is named from where the caller is.
            at = rest.index("--step") + 1
            rest[at] = str(Path(rest[at]).resolve())
        suite = ("tests/steps/test_every_step.py", "tests/steps/test_every_end.py")
        return _call("python", "-m", "pytest", *suite, *rest)
    everything = "--all" in arguments
    rest = [argument for argument in arguments if argument != "--all"]
    selected = [] if everything else ["-m", "not slow"]
    return _call("python", "-m", "pytest", "-n", "auto", "--dist", "worksteal", *selected, *rest)


def check(arguments: list[str]) -> int:
    """Lint, types, file lengths, whether locks are what packages ask for, and notebooks without outputs."""
    _options("check", check.__doc__).parse_args(arguments)
    failed = [
        name
        for name, command in (
            ("ruff", ["ruff", "check", "."]),
            ("mypy", ["mypy"]),
            ("locks", ["python", "build.py", "lock", "--check"]),
            ("notebooks", ["brakeline-notebooks", "strip", "--check"]),
        )
        if _call(*command)
    ]
    long = [str(file) for file in _sources() if len(file.read_text(encoding="utf-8").splitlines()) > 300]
    for file in long:
        say(f"{file}: more than 300 lines")
    say(
        f"failed: {', '.join(failed + ['lengths'] * bool(long))}"
        if failed or long
        else "ruff, mypy, locks, notebooks, lengths: clean"
    )
    return 1 if failed or long else 0


def lock(arguments: list[str]) -> int:
    """Resolve every package anew into hash-locked files without index addresses, one set of versions for all.

    With --check nothing is written; the exit status says whether the packages' wishes still fit their locks.
    """
    parser = _options("lock", lock.__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing, say what does not fit")
    parser.add_argument("--upgrade", action="store_true", help="take the newest versions that fit")
    chosen = parser.parse_args(arguments)
    steps = ("stepkit", "synthesize", "train", "validate", "register", "deploy")
    own = [f"brakeline-{name}" for name in (*steps, "serving", "client", "images", "notebooks")]
    hidden = [word for name in (*own, "brakeline") for word in ("--no-emit-package", name)]
    shared = [
        "uv", "pip", "compile", "pyproject.toml", "--universal", "--python-version", "3.11", "--generate-hashes",
        "--no-emit-index-url", "--no-emit-find-links", "--no-header", "--no-annotate", "-q", *hidden,
    ]  # fmt: skip
    wanted = {"steps/kit": ("data", "s3"), "orchestrator": ("demo", "docker"), "notebooks": ("lab",)}
    extras = {folder: [word for name in names for word in ("--extra", name)] for folder, names in wanted.items()}
    stale = list[Path]()
    whole = [*["--upgrade"] * chosen.upgrade, "--extra", "development"]
    for target in (LOCK, RUN_LOCK, *(HOUSE / folder / LOCK.name for folder in PACKAGES)):
        folder = str(target.parent.relative_to(HOUSE))
        fitting = whole if target == LOCK else ["--constraint", str(LOCK)]
        before = target.read_bytes() if target.exists() else b""
        command = [*shared, *extras.get(folder, []), *fitting, "-o", target.name]
        code = _call(*command, folder=target.parent)
        if code:
            return code
        if target.read_bytes() != before:
            stale.append(target)
            if chosen.check:
                target.write_bytes(before)
    told = "is not what its pyproject.toml asks for" if chosen.check else "written"
    for target in stale:
        say(f"{target.relative_to(HOUSE)} {told}")
    return 1 if stale and chosen.check else 0


def bench(arguments: list[str]) -> int:
    """All benchmarks of bench/ into RESULTS.md and results.json, or one by its name; --list says what there is."""
    known = sorted(file.stem for file in (HOUSE / "bench").glob("*.py") if not file.stem.startswith("_"))
    name, rest = ("_all", arguments) if not arguments or arguments[0][0] == "-" else (arguments[0], arguments[1:])
    if name not in (*known, "_all"):
        say(f"usage: python build.py bench [NAME] [--quick] [--json]   with NAME one of: {', '.join(known)}")
        return 2
    sys.argv = [f"bench/{name}.py", *rest]
    sys.path.insert(0, str(HOUSE / "bench"))
    runpy.run_path(str(HOUSE / "bench" / f"{name}.py"), run_name="__main__")
    return 0


# What is content with the packages of a run; every other verb takes all of them.
RUNNING = ("run", "images")
VERBS: dict[str, Callable[[list[str]], int]] = {
    "images": images,
    "manifests": manifests,
    "notebooks": notebooks,
    "run": run,
    "test": test,
    "check": check,
    "lock": lock,
    "bench": bench,
}


def main() -> int:
    """Set up what is needed and do what the verb says."""
    listed = "\n".join(f"  {name:10} {(verb.__doc__ or '').splitlines()[0]}" for name, verb in VERBS.items())
    parser = argparse.ArgumentParser(
        prog="build.py", description=f"verbs:\n{listed}", formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=VERBS, metavar="VERB")
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help="passed on to the verb; try --help after it")
    words = sys.argv[1:]
    if not words or (words[0].startswith("-") and words[0] not in {"-h", "--help"}):
        words = ["images", *words]
    chosen = parser.parse_args(words)
    check_machine()
    ensure_environment(VENV, RUN_LOCK if chosen.verb in RUNNING else LOCK)
    enter_environment()
    return VERBS[chosen.verb](chosen.arguments)


def _options(verb: str, told: str | None) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog=f"build.py {verb}", description=told, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def _call(*command: str, folder: Path = HOUSE) -> int:
    program = shutil.which(command[0], path=f"{VENV / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}")
    return subprocess.run([program or command[0], *command[1:]], cwd=folder, check=False).returncode


def _install(command: list[str], doing: str) -> None:
    done = subprocess.run(command, cwd=HOUSE, check=False)
    if done.returncode:
        sys.exit(f"{doing} failed; is a package index reachable? Proxies and CA bundles of the environment are used.")


def _fingerprint(lock: Path) -> str:
    digest = hashlib.sha256(f"{sys.version_info[:2]} {HOUSE}".encode())
    for file in (lock, *(HOUSE / package / "pyproject.toml" for package in PACKAGES)):
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _venv_python() -> Path:
    return VENV / "bin" / "python"


def _importable(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


def _lock(descriptor: int) -> None:
    import fcntl  # noqa: PLC0415  not on every system that this message-giving script meets

    fcntl.flock(descriptor, fcntl.LOCK_EX)


def _sources() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "*.py"], cwd=HOUSE, capture_output=True, text=True, check=False)  # noqa: S607
    return [HOUSE / name for name in listed.stdout.split()]


if __name__ == "__main__":
    sys.exit(main())
