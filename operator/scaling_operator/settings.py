"""What the administrator sets: one YAML file, which the chart writes from its values under `settings`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

from pydantic import Field, ValidationError

from scaling_api.problems import problems_of
from scaling_api.rules import UniqueBy, rule
from scaling_api.v1alpha1.base import ApiModel, Choice, Int, Many, ObjectName, Uri
from scaling_api.v1alpha1.execution import EnvironmentVariable, Head, Labels, Pool, Resources, Storage, Toleration
from scaling_api.v1alpha1.quantities import Bytes, KubeQuantity
from scaling_operator.desired.manifest import Manifest

VARIABLE: Final = "SCALING_SETTINGS"
"""Environment variable with the path of the settings file; without it, every default holds."""
LARGEST_FILE_BYTES: Final = 2**20

Image = Annotated[str, Field(min_length=1, max_length=512)]
Pattern = Annotated[str, Field(min_length=1, max_length=512)]
Port = Annotated[Int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0, le=10**9)]
WholeSeconds = Annotated[Int, Field(ge=1, le=10**9)]
Annotations = dict[str, str]


class SettingsError(ValueError):
    """The settings cannot be used; the message has a line for each mistake."""


class PullPolicy(Choice):
    """When a node fetches an image."""

    ALWAYS = "Always"
    IF_NOT_PRESENT = "IfNotPresent"
    NEVER = "Never"


class Trainer(ApiModel):
    """The image that trains, and how the driver is started in it."""

    image: Image = "scaling-trainer:0.1.0"
    """Image of the Ray pods, where an experiment names none."""
    pull_policy: PullPolicy = PullPolicy.IF_NOT_PRESENT
    """When nodes fetch it."""
    pull_secrets: Many[ObjectName] = ()
    """Secrets for its registry, in each namespace that runs experiments."""
    ray_version: Annotated[str, Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$", max_length=32)] = "2.60.0"
    """Ray's version in the image. KubeRay wants to know it; 2.52.0 or later."""
    python: Annotated[str, Field(min_length=1, max_length=512)] = "python"
    """The interpreter that runs the driver: a program on the PATH, or its path."""


class Ray(ApiModel):
    """Ray's own dials."""

    object_store_memory: Bytes = 200 * 2**20
    """Memory of each node's object store. Rows and plans are all that pass through it."""
    idle_timeout_seconds: WholeSeconds = 60
    """The autoscaler gives a node back once it has been idle this long."""
    autoscaler: Resources = Resources(cpu="200m", memory="512Mi")
    """Of the autoscaler's container, beside the head."""


class AccessMode(Choice):
    """How many nodes may mount a volume."""

    READ_WRITE_MANY = "ReadWriteMany"
    READ_WRITE_ONCE = "ReadWriteOnce"


class Claim(ApiModel):
    """The claim that the experiments of a namespace share. It belongs to no experiment: results outlive them."""

    name: ObjectName = "scaling-results"
    """Its name, in each namespace."""
    size: KubeQuantity = "100Gi"
    """Asked for where it does not exist yet."""
    storage_class_name: ObjectName | None = None
    """Its class; without it, the cluster's default class."""
    access_mode: AccessMode = AccessMode.READ_WRITE_MANY
    """With ReadWriteOnce all pods that mount the claim share one node."""


class DefaultStorage(ApiModel):
    """Where results are kept if an experiment does not say: a URI, or the namespace's claim."""

    uri: Uri | None = None
    """An fsspec URI, such as s3://bucket/prefix. All experiments share it: a trial done once is done for all."""
    credentials_secret: ObjectName | None = None
    """Secret with the URI's credentials, in each namespace that runs experiments."""
    claim: Claim = Claim()
    """Used without a uri."""

    @rule("!has(self.credentialsSecret) || has(self.uri)", "credentialsSecret is for a uri alone")
    def _credentials_are_used(self) -> str | None:
        return self.credentials_secret if self.uri is None else None


class Allowed(ApiModel):
    """What an experiment may ask for, by names in which * stands for any text; an empty list allows nothing."""

    service_accounts: Many[Pattern] = ()
    """ServiceAccounts that execution.serviceAccountName may name."""
    priority_classes: Many[Pattern] = ("*",)
    """PriorityClasses that execution.priorityClassName may name."""
    images: Many[Pattern] = ("*",)
    """Images that execution.image may name, such as registry.example/team/*."""
    storage: bool = True
    """Whether an experiment may bring its own execution.storage."""


class Cap(ApiModel):
    """What the experiments of one namespace may use at a time. null: no limit."""

    accelerators: Annotated[Int, Field(ge=0)] | None = None
    """Accelerators of all pools at maxNodes, over the experiments that run."""
    experiments: Annotated[Int, Field(ge=0)] | None = None
    """Experiments that run; others wait."""


class Caps(ApiModel):
    """Limits a namespace."""

    default: Cap = Cap()
    """Of a namespace that is not named below."""
    namespaces: dict[str, Cap] = Field(default_factory=dict)
    """Of a namespace by its name, in place of the default."""


class Pods(ApiModel):
    """What all Ray pods get, whatever an experiment asks for. Users cannot change it."""

    labels: Labels = Field(default_factory=dict)
    """Further labels."""
    annotations: Annotations = Field(default_factory=dict)
    """Further annotations."""
    node_selector: Labels = Field(default_factory=dict)
    """Labels that every node must have."""
    tolerations: Annotated[Many[Toleration], Field(max_length=32)] = ()
    """Taints that every pod accepts."""
    runtime_class_name: ObjectName | None = None
    """Such as nvidia or gvisor."""
    service_account_name: ObjectName | None = None
    """ServiceAccount of all pods, in each namespace; without it, each experiment gets one of its own with no rights."""
    volumes: Many[Manifest] = ()
    """Further volumes, as in a pod."""
    volume_mounts: Many[Manifest] = ()
    """Further mounts of the Ray containers, as in a container."""
    env: Annotated[Many[EnvironmentVariable], Field(max_length=128), UniqueBy("name")] = ()
    """Variables of the Ray containers, such as PATH or HTTPS_PROXY. They stand above a user's."""
    run_as_user: Annotated[Int, Field(ge=0)] = 10001
    """User of the containers; 0 leaves it to the cluster, as OpenShift wants it. Nothing runs as root."""
    run_as_group: Annotated[Int, Field(ge=0)] = 10001
    """Group of the containers; 0 leaves it to the cluster."""
    fs_group: Annotated[Int, Field(ge=0)] = 10001
    """Group that volumes are handed to; 0 leaves it to the cluster."""


class Kueue(ApiModel):
    """Queueing by Kueue, for experiments with a queue."""

    enabled: bool = False
    """Whether Kueue is installed and manages RayJobs."""
    default_queue: ObjectName | None = None
    """LocalQueue of experiments that name none; without it, these start at once."""
    elastic: bool = False
    """Keep the autoscaler under Kueue. Needs its ElasticJobsViaWorkloadSlices feature gate."""


class Reach(Choice):
    """How the operator speaks to a driver."""

    SERVICE = "Service"
    """By the head Service's name in the cluster's DNS."""
    API_PROXY = "ApiProxy"
    """Through the API server, for an operator outside the cluster."""


class Driver(ApiModel):
    """How drivers are reached."""

    reach: Reach = Reach.SERVICE
    """Service or ApiProxy."""
    cluster_domain: Annotated[str, Field(min_length=1, max_length=253)] = "cluster.local"
    """The cluster's DNS domain."""


class Deadlines(ApiModel):
    """How long to wait before something counts as lost."""

    pre_running_seconds: WholeSeconds = 7200
    """A RayJob must run this long after it was let in, or the next is tried."""
    unreachable_head_seconds: WholeSeconds = 900
    """A driver that does not answer for so long is an infrastructure failure."""


def _pods(label: str, value: str) -> tuple[Manifest, ...]:
    return ({"namespaceSelector": {}, "podSelector": {"matchLabels": {f"app.kubernetes.io/{label}": value}}},)


class Network(ApiModel):
    """The fence around an experiment's pods. Peers and rules are written as in a NetworkPolicy; no peers: anyone."""

    enabled: bool = True
    """Whether experiments get a NetworkPolicy."""
    # KubeRay's chart and its kustomize manifests agree on the component; the name is another in each.
    kuberay: Many[Manifest] = _pods("component", "kuberay-operator")
    """Peers that may reach the dashboard, to submit the driver."""
    operator: Many[Manifest] = _pods("name", "scaling-operator")
    """Peers that may reach the driver."""
    prometheus: Many[Manifest] = _pods("name", "prometheus")
    """Peers that may read metrics."""
    api_server: Many[Manifest] = ()
    """Peers that the autoscaler may reach on ports 443 and 6443."""
    storage_ports: Many[Port] = (443,)
    """TCP ports that all pods may reach anywhere, for object storage."""
    egress: Many[Manifest] = ()
    """Further rules for what pods may reach."""


class Lease(ApiModel):
    """Which Lease makes one operator the leader."""

    name: ObjectName = "scaling-operator"
    """Its name."""
    namespace: ObjectName | None = None
    """Its namespace; without it, the operator's own."""


class Ports(ApiModel):
    """What the operator itself listens on."""

    metrics: Port = 8080
    """Prometheus metrics."""
    probes: Port = 8081
    """/livez and /readyz."""


class ApiClient(ApiModel):
    """How hard the operator may press on the API server."""

    requests_per_second: Annotated[float, Field(gt=0, le=10_000)] = 20.0
    """On average, over all requests."""
    burst: Annotated[Int, Field(ge=1, le=10_000)] = 40
    """At once."""
    timeout_seconds: Seconds = 30.0
    """Of one request."""


class Science(ApiModel):
    """Limits of the process that plans and fits."""

    timeout_seconds: Seconds = 600.0
    """Of one plan or fit."""
    memory: Bytes = 2 * 2**30
    """Of the process."""


class LogLevel(Choice):
    """What is worth a line."""

    DEBUG = "DEBUG"
    INFO = "INFO"
    WARNING = "WARNING"


class Settings(ApiModel):
    """Everything that an administrator may set."""

    namespaces: Many[ObjectName] = ()
    """Namespaces to watch; empty: all."""
    trainer: Trainer = Trainer()
    """The trainer's image."""
    ray: Ray = Ray()
    """Ray's own dials."""
    default_pool: Pool = Pool(name="cpu", resources=Resources(cpu=2, memory="4Gi"), max_nodes=4)
    """The pool of experiments that name none."""
    default_resources: Resources = Resources(cpu=1, memory="4Gi")
    """Of pools' pods, each where an experiment says nothing."""
    default_head: Head = Head(resources=Resources(cpu=1, memory="4Gi"))
    """Of the heads' pods, each where an experiment says nothing."""
    storage: DefaultStorage = DefaultStorage()
    """Where results are kept if an experiment does not say."""
    allowed: Allowed = Allowed()
    """What an experiment may ask for."""
    caps: Caps = Caps()
    """Limits a namespace."""
    pods: Pods = Pods()
    """What all Ray pods get."""
    kueue: Kueue = Kueue()
    """Queueing by Kueue."""
    network: Network = Network()
    """The fence around an experiment's pods."""
    driver: Driver = Driver()
    """How drivers are reached."""
    deadlines: Deadlines = Deadlines()
    """How long to wait before something counts as lost."""
    cpu_fallback: bool = False
    """For tests: train on the CPU where a pool's accelerator is missing. Otherwise that is a failure."""
    lease: Lease = Lease()
    """Leader election."""
    ports: Ports = Ports()
    """What the operator listens on."""
    api: ApiClient = ApiClient()
    """Load on the API server."""
    science: Science = Science()
    """Limits of plans and fits."""
    resync_seconds: Seconds = 300.0
    """Every experiment is looked at again this often, give or take a tenth."""
    log_level: LogLevel = LogLevel.INFO
    """What is logged."""

    def cap_of(self, namespace: str) -> Cap:
        """Return what the experiments of `namespace` may use."""
        return self.caps.namespaces.get(namespace, self.caps.default)

    def storage_of(self, asked: Storage | None) -> Storage:
        """Return where an experiment's results are kept: as it asked, or the default."""
        if asked is not None:
            return asked
        if self.storage.uri is not None:
            return Storage(uri=self.storage.uri, credentials_secret=self.storage.credentials_secret)
        return Storage(claim_name=self.storage.claim.name)


def settings_from(environ: Mapping[str, str]) -> Settings:
    """Return the settings in the file that SCALING_SETTINGS names; every default where it names none.

    Raises:
        SettingsError: the file cannot be used; a line for each mistake.
    """
    path = environ.get(VARIABLE)
    return load_settings(Path(path)) if path else Settings()


def load_settings(path: Path) -> Settings:
    """Return the settings in a YAML 1.2 file; what it leaves out has its default.

    Raises:
        SettingsError: no such file, not YAML, unknown keys, or values that are not allowed; a line for each.
    """
    found = _read(path)
    if not isinstance(found, dict):
        raise SettingsError(f"{path}: expected a mapping of settings.")
    try:
        return Settings.model_validate(found)
    except ValidationError as error:
        raise SettingsError("\n".join(f"{path}: {problem}." for problem in problems_of(error))) from None


def _read(path: Path) -> object:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        with path.open("rb") as stream:
            text = stream.read(LARGEST_FILE_BYTES + 1)
        if len(text) > LARGEST_FILE_BYTES:
            raise SettingsError(f"{path}: larger than 1 MiB, which no settings are.")
        found = YAML(typ="safe", pure=True).load(text.decode())
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: cannot be read as YAML: this is not UTF-8 text.") from None
    except YAMLError as error:
        mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None) or str(error)
        where = f"{path}:{mark.line + 1}" if mark else str(path)
        raise SettingsError(f"{where}: cannot be read as YAML: {problem}.") from None
    return {} if found is None else found
