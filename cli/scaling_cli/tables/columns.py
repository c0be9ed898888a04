"""Which column of a table is which quantity: what the user says, then what the names suggest."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scaling_cli.errors import CommandError
from scaling_cli.tables.units import UNITED, without_unit

ROLES = ("N", "D", "C", "loss", "cluster", "weight", "steps")
MEANING = {
    "N": "parameters", "D": "training tokens", "C": "training FLOPs", "loss": "held-out loss", "cluster": "trajectory",
    "weight": "weight", "steps": "optimizer steps",
}  # fmt: skip
MODELS = frozenset(("N", "D", "C", "loss"))
"""Roles that are different quantities of a model, so that no two of them are one column."""
_SHOWN = 40
# Folded: lower case, letters and digits only. Weights change a fit, so that nothing but --columns names them.
_USUAL_NAMES: Mapping[str, tuple[str, ...]] = {
    "N": ("n", "params", "parameters", "nparams", "nparameters", "numparams", "numparameters", "modelsize",
          "parametercount", "paramcount", "modelparams", "modelparameters"),
    "D": ("d", "tokens", "ntokens", "numtokens", "traintokens", "trainingtokens", "datasize", "tokencount"),
    "C": ("c", "flops", "flop", "trainflops", "trainingflops", "trainflop", "trainingflop", "compute",
          "trainingcompute"),
    "loss": ("loss", "valloss", "evalloss", "validationloss", "testloss", "heldoutloss", "finalloss", "lmloss",
             "evaluationloss"),
    "cluster": ("cluster", "clusters", "trajectory", "trunk", "runid"),
    "weight": (),
    "steps": ("steps", "nsteps", "numsteps", "trainsteps", "trainingsteps"),
}  # fmt: skip
_USUAL_FEATURES: Mapping[str, tuple[str, ...]] = {
    "U": ("unique", "uniquetokens", "nunique", "ud"),
    "S": (
        "sparsity",
        "weightsparsity",
        "sparsityratio",
        "sparsitylevel",
        "sparsitypct",
        "sparsitypercent",
        "prunedfraction",
        "pruningratio",
        "pruneratio",
    ),
    "P": ("bits", "weightbits", "nbits", "numbits", "wbits", "bitwidth", "precisionbits", "precision", "weightdtype"),
    "G": ("granularity",),
    "experts": ("numexperts", "nexperts", "expertcount", "nexpert"),
    "accuracy": ("acc", "taskaccuracy", "testaccuracy", "valaccuracy"),
    "workers": ("nworkers", "numworkers", "gpus", "ngpus", "numgpus", "worldsize", "devices"),
    "throughput": ("tokenspersecond", "tokenspersec", "samplespersecond", "tps"),
    "strategy": ("parallelism", "parallelstrategy"),
    "treatment": ("dataquality", "datatreatment"),
    "Q": ("quality", "qualityscore", "dataqualityscore"),
    "teacher_loss": ("lossteacher", "lt"),
    "supervised_loss": ("losssupervised", "studentsupervisedloss"),
    "control_loss": ("losscontrol", "denseloss"),
}
"""Names that columns of particular forms go by, folded; where a table has several, the first is meant."""


@dataclass(frozen=True)
class ColumnMap:
    """Names of the columns behind each role and each feature."""

    roles: Mapping[str, str]
    features: Mapping[str, str]
    """Feature name to column."""


def parse_columns(text: str) -> dict[str, str]:
    """Return the mapping that `N=params,D=tokens,loss=val loss` writes; a column's name may hold commas.

    Raises:
        CommandError: it is no such list.
    """
    pairs: dict[str, str] = {}
    for part in re.split(r",(?=\s*[A-Za-z_]\w*=)", text) if text.strip() else []:
        name, equals, column = part.partition("=")
        name, column = _role(name.strip()), column.strip()
        if not equals or not column or not re.fullmatch(r"[A-Za-z_]\w*", name):
            raise CommandError(
                f"--columns: cannot read {part.strip()!r}; write it as N=params,D=tokens,loss=val_loss. "
                f"The names on the left are {', '.join(ROLES)}, and those given to --features."
            )
        if name in pairs:
            raise CommandError(f"--columns: {name} is given twice.")
        pairs[name] = column
    return pairs


def map_columns(
    header: Sequence[str], given: Mapping[str, str], *, needed: Sequence[str], features: Sequence[str], source: str
) -> ColumnMap:
    """Return which column is which.

    Args:
        header: the table's columns.
        given: what the user says, by role or feature.
        needed: roles without which there is no fit; D may come from C and N, and N from C and D.
        features: further columns that the form uses.
        source: the table's name, for messages.

    Raises:
        CommandError: a column does not exist, is there twice, or a role has none or several candidates.
    """
    _check_given(header, given, features=features, source=source)
    roles = {role: column for role, column in given.items() if role in ROLES}
    for role in ROLES:
        if role not in roles and (guess := _guess(role, header, taken=roles, source=source)):
            roles[role] = guess
    missing = [role for role in needed if role not in roles and not _is_derivable(role, roles)]
    if missing:
        raise CommandError(_missing(missing, header, roles, source=source))
    named = {name: given.get(name) or usual_column(name, header) or name for name in features}
    if absent := [name for name, column in named.items() if column not in header]:
        raise CommandError(
            f"{source}: the form uses the column{'s' * (len(absent) > 1)} {', '.join(absent)}, which the table does "
            f"not have. {_columns(header)} Say which is meant: --columns {absent[0]}=…"
        )
    for column in (*roles.values(), *named.values()):
        if header.count(column) > 1:
            raise CommandError(f"{source}: the column {column!r} is there {header.count(column)} times; rename one.")
    return ColumnMap(roles, named)


def usual_column(name: str, header: Sequence[str]) -> str | None:
    """Return the column of that name, or the one that usually means it; None where there is none."""
    if name in header:
        return name
    for usual in _USUAL_FEATURES.get(name, ()):
        if candidates := [column for column in header if usual in _folds(name, column)]:
            return candidates[0] if len(candidates) == 1 else None
    candidates = _candidates(name, header)
    return candidates[0] if len(candidates) == 1 else None


def _candidates(role: str, header: Sequence[str]) -> list[str]:
    """Return the columns that usually mean a role; those with a unit in their name where there are no others."""
    usual = _USUAL_NAMES.get(role, ())
    plain = [column for column in header if _fold(column) in usual]
    return plain or [column for column in header if role in UNITED and _fold(without_unit(column)) in usual]


def _role(name: str) -> str:
    return next((role for role in ROLES if role.lower() == name.lower()), name)


def _fold(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _folds(name: str, column: str) -> tuple[str, ...]:
    return (_fold(column), _fold(without_unit(column))) if name in UNITED else (_fold(column),)


def _check_given(header: Sequence[str], given: Mapping[str, str], *, features: Sequence[str], source: str) -> None:
    for name, column in given.items():
        if name not in ROLES and name not in features:
            these = f" ({', '.join(features)})" if features else ""
            raise CommandError(
                f"--columns: {name} is neither one of {', '.join(ROLES)} nor a feature of this fit{these}."
            )
        if column not in header:
            raise CommandError(f"{source}: there is no column {column!r}. {_columns(header)}")
    of_column: dict[str, str] = {}
    for name, column in given.items():
        other = of_column.setdefault(column, name) if name in MODELS else name
        if other != name:
            raise CommandError(f"--columns: {column!r} cannot be both {other} ({MEANING[other]}) and {name}.")


def _guess(role: str, header: Sequence[str], *, taken: Mapping[str, str], source: str) -> str | None:
    free = [column for column in header if column not in taken.values()]
    if role in free:
        return role
    candidates = _candidates(role, free)
    if len(candidates) > 1:
        raise CommandError(
            f"{source}: several columns may be {role} ({MEANING[role]}): {', '.join(candidates)}. "
            f"Say which: --columns {role}={candidates[0]}"
        )
    return candidates[0] if candidates else None


def _is_derivable(role: str, roles: Mapping[str, str]) -> bool:
    return "C" in roles and ((role == "D" and "N" in roles) or (role == "N" and "D" in roles))


def _missing(missing: Sequence[str], header: Sequence[str], roles: Mapping[str, str], *, source: str) -> str:
    wanted = ", ".join(f"{role} ({MEANING[role]})" for role in missing)
    found = "".join(f" {role} is {column!r}." for role, column in roles.items())
    example = ",".join(f"{role}={roles.get(role, '…')}" for role in ("N", "D", "loss"))
    return f"{source}: no column looks like {wanted}.{found} {_columns(header)} Say which is which: --columns {example}"


def _columns(header: Sequence[str]) -> str:
    shown = ", ".join(repr(column) for column in header[:_SHOWN])
    more = f" and {len(header) - _SHOWN} more" if len(header) > _SHOWN else ""
    return f"The columns are {shown}{more}."
