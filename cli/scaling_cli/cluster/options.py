"""Which cluster the command line means; kubectl's own options, with kubectl's meanings."""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from scaling_cli.invocation import program

_PANEL = "Cluster"

KubeconfigOption: TypeAlias = Annotated[
    Path | None,
    typer.Option("--kubeconfig", metavar="FILE", help="Else KUBECONFIG, else ~/.kube/config.", rich_help_panel=_PANEL),
]
ContextOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--context", metavar="NAME", help="Of the kubeconfig; else its current one.", rich_help_panel=_PANEL),
]
NamespaceOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--namespace", "-n", metavar="NAME", help="Else that of the context.", rich_help_panel=_PANEL),
]


@dataclass(frozen=True)
class ClusterOptions:
    """What was said of the cluster; None where nothing was."""

    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None

    @property
    def is_given(self) -> bool:
        """Something was said, so that a cluster is meant."""
        return self != ClusterOptions()

    def command(self, *words: str) -> str:
        """Return a command of this program on the same cluster, to be typed."""
        given = {"-n": self.namespace, "--context": self.context, "--kubeconfig": self.kubeconfig}
        options = [word for name, value in given.items() if value is not None for word in (name, str(value))]
        return f"{program()} {shlex.join([*words, *options])}"

    @classmethod
    def of(
        cls,
        ctx: typer.Context,
        *,
        kubeconfig: Path | None = None,
        context: str | None = None,
        namespace: str | None = None,
    ) -> "ClusterOptions":
        """Return the options of a command; what it was not given stands, perhaps, before its name."""
        before = ctx.obj if isinstance(ctx.obj, ClusterOptions) else cls()
        return cls(kubeconfig or before.kubeconfig, context or before.context, namespace or before.namespace)
