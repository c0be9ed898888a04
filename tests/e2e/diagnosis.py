"""What a person would look at first when an experiment on the cluster does not do what it should."""

from collections.abc import Iterator

from installation import NAMESPACE

from throwaway.api_server import ApiServer

LINES = 60


def describe(server: ApiServer, namespace: str) -> str:
    """Return the experiments, pods, events and logs, as text."""
    return "\n".join(parts(server, namespace))


def parts(server: ApiServer, namespace: str) -> Iterator[str]:
    for words in (
        ("get", "scalingexperiments,scalingtrials,rayjobs,rayclusters,pods", "-o", "wide"),
        ("get", "scalingexperiments", "-o", "yaml", "--show-managed-fields=false"),
        ("get", "events", "--sort-by=.lastTimestamp"),
    ):
        yield said(server, "-n", namespace, *words)
    yield said(server, "-n", NAMESPACE, "logs", "deployment/scaling-operator", f"--tail={LINES}")
    for pod in server.kubectl("-n", namespace, "get", "pods", "-o", "name").stdout.split():
        yield said(server, "-n", namespace, "logs", pod, "--all-containers", "--prefix", f"--tail={LINES}")
    for head in server.kubectl(
        "-n", namespace, "get", "pods", "-l", "ray.io/node-type=head", "-o", "name"
    ).stdout.split():
        yield said(server, "-n", namespace, "exec", head, "-c", "ray-head", "--", "sh", "-c", DRIVER_LOG)


# Ray writes what a job prints to a file of the head.
DRIVER_LOG = f"tail -n {LINES} /tmp/ray/session_latest/logs/job-driver-*.log"


def said(server: ApiServer, *words: str) -> str:
    done = server.kubectl(*words, timeout_s=30)
    return f"$ kubectl {' '.join(words)}\n{done.stdout}{done.stderr}"
