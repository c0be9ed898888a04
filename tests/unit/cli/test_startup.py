import json
import resource
import subprocess
import sys

HEAVY = ("torch", "scipy", "numpy", "altair", "pyarrow", "pandas", "scaling_api", "ruamel", "scaling_laws")


def loaded_by(*arguments: str) -> set[str]:
    """Return the heavy packages that a command has imported by its end."""
    code = (
        "import json, sys, contextlib, io\n"
        "from scaling_cli.__main__ import app\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        f"    app({list(arguments)!r})\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", code], text=True, capture_output=True, timeout=60, check=True)
    return set(json.loads(done.stdout.splitlines()[-1])) & set(HEAVY)


def test_help_imports_nothing_heavy() -> None:
    assert loaded_by("--help") == set()
    assert loaded_by("run", "--help") == set()
    assert loaded_by("version") == set()


def test_a_csv_is_fitted_without_the_libraries_of_other_commands() -> None:
    assert loaded_by("fit", "/dev/null", "--form", "Chinchilla") & {"torch", "altair", "pyarrow", "pandas"} == set()


def test_mistakes_in_fields_are_told_without_a_numerical_library() -> None:
    assert loaded_by("validate", "/dev/null") & {"torch", "scipy", "numpy", "altair", "pyarrow"} == set()


def cpu_seconds(*arguments: str) -> float:
    """Return the processor time of a process: on an idle core it is what one waits, on a busy one it stays the same."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *arguments], capture_output=True, timeout=60, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_answers_at_once() -> None:
    assert min(cpu_seconds("-m", "scaling_cli", "--help") for _ in range(5)) <= 0.3


def test_help_names_every_command_and_the_exit_codes() -> None:
    done = subprocess.run([sys.executable, "-m", "scaling_cli", "-h"], text=True, capture_output=True, check=True)
    for word in ("validate", "plan", "run", "fit", "report", "trials", "version", "Exit codes"):
        assert word in done.stdout
