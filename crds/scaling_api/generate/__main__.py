"""`python -m scaling_api.generate [--check]`: write the CRDs and docs/api.md, or say which are out of date."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from scaling_api.generate.block_yaml import to_yaml
from scaling_api.generate.definitions import experiment_definition, trial_definition
from scaling_api.generate.reference import reference_page

REPOSITORY = Path(__file__).parents[3]
COMMAND = "python -m scaling_api.generate"


def generated_files() -> Mapping[str, str]:
    """Return the text of each generated file by its path in the repository."""
    experiment, trial = experiment_definition(), trial_definition()
    note = f"# Written by `{COMMAND}` from the models in crds/scaling_api: change those.\n"
    return {
        "crds/scalingexperiments.yaml": note + to_yaml(experiment),
        "crds/scalingtrials.yaml": note + to_yaml(trial),
        "docs/api.md": reference_page(experiment, trial),
    }


def stale_files(repository: Path) -> list[str]:
    """Return the paths of the generated files that differ from what the models say."""
    return [path for path, text in generated_files().items() if not _is_current(repository / path, text)]


def main(arguments: list[str] | None = None) -> int:
    """Write the generated files that changed; with --check, write nothing and return 1 where one is stale."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Write both CRDs and docs/api.md from the models.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail where a file is out of date")
    parser.add_argument("--repository", type=Path, default=REPOSITORY, help="root of the repository")
    options = parser.parse_args(arguments)
    stale = stale_files(options.repository)
    if options.check and stale:
        sys.stderr.write(f"Out of date: {', '.join(stale)}. Run `{COMMAND}` and commit the result.\n")
        return 1
    for path in stale:
        (options.repository / path).write_text(generated_files()[path], encoding="utf-8")
        sys.stdout.write(f"{path}\n")
    return 0


def _is_current(file: Path, text: str) -> bool:
    return file.is_file() and file.read_text(encoding="utf-8") == text


if __name__ == "__main__":
    sys.exit(main())
