"""Simulated tables with known coefficients, for forms with columns of their own: what their intervals should cover.

Every world is a design on which its form is identified, with exact responses; whoever draws experiments adds noise. A
trunk has one size, and one level of what a trunk cannot change (experts, bits, a teacher), and several token counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from scaling_laws.forms import FORMS
from scaling_laws.points import FloatArray, Points

Columns = Mapping[str, FloatArray]


@dataclass(frozen=True)
class World:
    """A form's truth on a design."""

    form: str
    truth: Mapping[str, float]
    """Coefficients; empty where the truth is what a fit of the table without noise gives."""
    make: Callable[["World"], Points]
    """Gives the table without noise."""
    loss: str
    """What is minimised: the form's usual objective."""
    response: str = "loss"
    """The column that noise falls on."""
    scatter: float = 0.006
    """Standard deviation of the logarithm of what is observed."""
    far: Mapping[str, float] = field(default_factory=dict)
    """A place beyond the design at which the prediction should be covered; empty: none."""
    method: str = "WildClusterBootstrapT"
    """Of the intervals: the default of the form."""
    formula_of: str = ""
    """The form whose formula is the truth, where the fitted one chooses among several."""

    def exact(self) -> Points:
        """Return the table without noise."""
        return self.make(self)


def scattered(points: Points, world: World, draw: Callable[[int], FloatArray]) -> Points:
    """Return the table with noise on its response, half of whose variance a trunk shares."""
    trunks = np.asarray(points.clusters)
    scatter = world.scatter * (draw(int(trunks.max()) + 1)[trunks] + draw(len(points))) / np.sqrt(2)
    if world.response == "loss":
        return replace(points, loss=points.loss * np.exp(scatter))
    column = np.asarray(points.features[world.response]) * np.exp(scatter)
    return replace(points, features={**points.features, world.response: column})


def bent(points: Points) -> Points:
    """Return the table with losses that no form here has: an interaction of size and tokens of up to two per cent."""
    z = [np.log(x) - np.log(x).mean() for x in (points.N, points.D)]
    twist = z[0] * z[1] / np.abs(z[0] * z[1]).max()
    return replace(points, loss=points.loss * np.exp(0.02 * twist))


def _trunks(levels: int, counts: int, *, n: tuple[float, float], d: tuple[float, float], sizes: int = 8) -> Columns:
    """Return N, D, level and trunk of every point of sizes x levels trunks."""
    N, level, D = np.meshgrid(np.geomspace(*n, sizes), np.arange(levels), np.geomspace(*d, counts), indexing="ij")
    return {"N": N.ravel(), "D": D.ravel(), "level": level.ravel(), "trunk": np.arange(sizes * levels).repeat(counts)}


def _by_formula(world: World, columns: Columns, trunks: FloatArray) -> Points:
    """Return the table whose loss is the form's formula, worked out by Python's own arithmetic."""
    known = {"exp": np.exp, "log10": np.log10, "min": np.minimum, "__builtins__": {}}
    right = FORMS[world.formula_of or world.form].formula.split("=", 1)[1].replace("^", "**")
    loss = np.asarray(eval(right, known, {"C": 6 * columns["N"] * columns["D"], **columns, **world.truth}))
    features = {name: x for name, x in columns.items() if name not in {"N", "D"}}
    return Points(columns["N"], columns["D"], loss, clusters=trunks.astype(np.int64), features=features)


def _levels(name: str, values: tuple[float, ...], *, counts: int = 5) -> Callable[[World], Points]:
    """Return a design in which each trunk has one of these values of a column."""

    def make(world: World) -> Points:
        at = _trunks(len(values), counts, n=(1e7, 3e9), d=(3e8, 1e11))
        return _by_formula(world, {"N": at["N"], "D": at["D"], name: np.array(values)[at["level"]]}, at["trunk"])

    return make


def _wide(world: World) -> Points:
    at = _trunks(3, 9, n=(1e5, 1e11), d=(1e7, 1e13), sizes=14)
    return _by_formula(world, {"N": at["N"], "D": at["D"]}, at["trunk"])


def _repeats(world: World) -> Points:
    at = _trunks(7, 6, n=(1e7, 1e10), d=(3e8, 3e11))
    epochs = np.array([1.0, 2.0, 5.0, 12.0, 30.0, 70.0, 150.0])[at["level"]]
    return _by_formula(world, {"N": at["N"], "D": at["D"], "U": at["D"] / epochs}, at["trunk"])


def _ladder(world: World) -> Points:
    """Return forty sizes at 6, 20 and 60 tokens a parameter: nine decades of compute."""
    N = np.geomspace(1e6, 2e10, 40).repeat(3)
    D = N * np.tile([6.0, 20.0, 60.0], 40)
    return _by_formula(world, {"N": N, "D": D}, np.arange(40).repeat(3))


def _distilled(world: World) -> Points:
    at = _trunks(8, 6, n=(1e7, 3e9), d=(3e8, 1e11), sizes=12)
    N, D = at["N"], at["D"]
    teacher = np.linspace(1.9, 3.0, 8)[at["level"]]
    alone = 1.22 + (3355 / N**0.41 + 18186 / D**0.43) ** 0.45
    columns = {"N": N, "D": D, "teacher_loss": teacher, "supervised_loss": alone}
    return _by_formula(world, columns, at["trunk"])


def _mixtures(world: World) -> Points:
    shares = np.random.default_rng(1).dirichlet(np.ones(4), 40)
    loss = world.truth["c"] + world.truth["k"] * np.exp(shares[:, :3] @ [world.truth[f"t_{i}"] for i in "abc"])
    features = {f"r_{name}": shares[:, i] for i, name in enumerate("abcd")}
    table = Points(np.ones(40), np.ones(40), loss, features=features)
    return _copies(replace(table, clusters=np.arange(40)), 2)


def _copies(table: Points, count: int) -> Points:
    """Return the table that many times, as seeds of the same trunks."""
    assert table.clusters is not None
    return replace(
        table,
        N=np.tile(table.N, count), D=np.tile(table.D, count), loss=np.tile(table.loss, count),
        clusters=np.tile(table.clusters, count),
        features={name: np.tile(column, count) for name, column in table.features.items()},
    )  # fmt: skip


def _dense(truth: Mapping[str, float], N: FloatArray, D: FloatArray) -> FloatArray:
    return truth["E"] + truth["A"] / N ** truth["alpha"] + truth["B"] / D ** truth["beta"]


def _treated(world: World) -> Points:
    at = _trunks(3, 5, n=(1e7, 1e9), d=(1e9, 3e10))
    N, D, level = at["N"], at["D"], at["level"]
    worth = np.where(level == 1, world.truth["q_dup"], 1.0)
    loss = _dense(world.truth, N, D * worth) + np.where(level == 2, world.truth["dE_noisy"], 0.0)
    names = np.array(["clean", "dup", "noisy"])[level]
    return Points(N, D, loss, clusters=at["trunk"].astype(np.int64), features={"treatment": names})


def _qualities(world: World) -> Points:
    at = _trunks(4, 5, n=(1e7, 1e9), d=(1e9, 3e10))
    Q = np.array([0.2, 0.4, 0.7, 1.0])[at["level"]]
    loss = _dense(world.truth, at["N"], at["D"] * Q ** world.truth["gamma"])
    return Points(at["N"], at["D"], loss, clusters=at["trunk"].astype(np.int64), features={"Q": Q})


def _tasks(world: World) -> Points:
    at, truth = _trunks(2, 6, n=(1e7, 1e10), d=(3e8, 3e11)), world.truth
    loss = _dense(truth, at["N"], at["D"])
    accuracy = truth["floor"] + (truth["ceiling"] - truth["floor"]) / (
        1 + np.exp(truth["slope"] * (loss - truth["middle"]))
    )
    return Points(at["N"], at["D"], loss, clusters=at["trunk"].astype(np.int64), features={"accuracy": accuracy})


def _throughput(world: World) -> Points:
    workers = np.repeat([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0], 4)
    table = Points(np.ones(32), np.ones(32), np.ones(32), clusters=np.arange(32))
    truth = {"kappa": 0.0, "sigma": 0.0, "g": 0.0, **world.truth}
    slowed = 1 + truth["sigma"] * (workers - 1) + truth["kappa"] * workers * (workers - 1)
    rate = truth["lambda"] * (workers - truth["g"] * (workers - 1)) / slowed
    return replace(table, features={"workers": workers, "throughput": rate})


def _compressed(world: World) -> Points:
    levels = [(P, S) for P in (32.0, 8.0, 4.0, 3.0) for S in (0.0, 0.5, 0.75)]
    at, truth = _trunks(2, 5, n=(1e7, 1e9), d=(1e9, 3e10), sizes=5), world.truth
    N, D, trunk = (at[name].repeat(len(levels)) for name in ("N", "D", "trunk"))
    P, S = (np.tile(column, len(at["N"])) for column in np.array(levels).T)
    D0, N0 = (float(np.exp(np.log(x[(P < 16) | (S > 0)]).mean())) for x in (D, N))
    lost = truth["k_q"] * (P < 16) * np.exp(-P / truth["gamma"]) + truth["k_s"] * ((1 - S) ** -truth["b"] - 1)
    penalty = lost * (D / D0) ** truth["g"] * (N / N0) ** -truth["h"]
    features = {"P": P, "S": S, "control_loss": _dense(CHINCHILLA, N, D)}
    return Points(N, D, features["control_loss"] + penalty, clusters=trunk.astype(np.int64), features=features)


def _budgets(world: World) -> Points:
    """Return nine sizes around each budget's optimum, near enough for a parabola to be no misspecification."""
    C = np.geomspace(1e18, 1e21, 6).repeat(9)
    N = _K_N * C**_SHARE * np.tile(np.geomspace(0.3, 1 / 0.3, 9), 6)
    return Points(N, C / 6 / N, _dense(CHINCHILLA, N, C / 6 / N), clusters=np.arange(54))


def _curves(world: World) -> Points:
    at = _trunks(1, 40, n=(1e7, 3e9), d=(1e8, 3e11), sizes=40)
    return Points(at["N"], at["D"], _dense(CHINCHILLA, at["N"], at["D"]), clusters=at["trunk"].astype(np.int64))


def _linear(world: World) -> Points:
    at, truth = _trunks(2, 6, n=(1e7, 1e9), d=(1e9, 3e10)), world.truth
    names = np.array(["dense", "int4"])[at["level"]]
    loss = truth["const"] + truth["log(N)"] * np.log(at["N"]) + truth["log(D)"] * np.log(at["D"])
    loss += truth["pipeline=int4"] * at["level"]
    return Points(at["N"], at["D"], loss, clusters=at["trunk"].astype(np.int64), features={"pipeline": names})


CHINCHILLA: Mapping[str, float] = {"E": 1.7, "A": 400.0, "B": 2000.0, "alpha": 0.34, "beta": 0.37}
_SHARE = CHINCHILLA["beta"] / (CHINCHILLA["alpha"] + CHINCHILLA["beta"])
_BALANCE = CHINCHILLA["alpha"] * CHINCHILLA["A"] / (CHINCHILLA["beta"] * CHINCHILLA["B"])
_K_N = _BALANCE ** (1 / (CHINCHILLA["alpha"] + CHINCHILLA["beta"])) / 6**_SHARE
DISTILLATION = {
    "c0": 2.55, "d1": 1.02, "f1": 0.09, "c1": 30.0, "A": 2200.0, "alpha": 0.32, "B": 24000.0, "beta": 0.64,
    "gamma": 0.76,
}  # fmt: skip
BREAK = {"E": 1.5, "A": 30.0, "c0": 0.05, "d1": 1e19, "f1": 0.4, "c1": 0.12}
BREAKS = {**BREAK, "d1": 1e17, "d2": 1e20, "f2": 0.3, "c2": -0.1}
GAMMA = {"E": 1.2, "A": 90.0, "alpha": 0.45, "B": 400.0, "beta": 0.5, "gamma": 0.6}
REPEATED = {"E": 1.87, "A": 521.0, "B": 1488.0, "alpha": 0.353, "R_N": 5.3, "R_D": 15.4}
SPARSE = {"a_S": 2.0, "b_S": 0.72, "c_S": 6.0, "b_N": 0.245, "a_D": 3e8, "b_D": 0.4, "c": 0.65}
PRECISE = {"E": 1.9, "A": 900.0, "gamma": 2.7, "alpha": 0.4, "B": 4000.0, "beta": 0.42}
ROUTED = {"d": 1.104, "a": -0.082, "b": -0.108, "E_start": 1.847, "E_max": 314.478, "c": 0.009}
FINE = {"c": 0.47, "g": 2.1, "gamma": 0.58, "a": 18.1, "alpha": 0.115, "b": 30.8, "beta": 0.147}
THREE = {**BREAKS, "d3": 1e22, "f3": 0.3, "c3": 0.15}
PENALTY = {"k_q": 3.0, "gamma": 1.0, "k_s": 0.02, "b": 1.2, "g": 0.6, "h": 0.3}
UNIVERSAL = {"lambda": 1e3, "sigma": 0.02, "kappa": 2e-4}
LINEAR = {"const": 9.0, "log(N)": -0.12, "log(D)": -0.15, "pipeline=int4": 0.04}
TASK = {**CHINCHILLA, "floor": 0.25, "ceiling": 0.9, "slope": 4.0, "middle": 2.8}
MIXED = {"c": 1.5, "k": 0.8, "t_a": -1.2, "t_b": -0.3, "t_c": 0.5}
BITS, ZEROS = (3.0, 4.0, 6.0, 8.0, 16.0), (0.0, 0.5, 0.75, 0.875, 0.95)
EXPERTS, GRAINS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0), (1.0, 2.0, 4.0, 8.0, 16.0)
FAR = {"N": 3e10, "D": 1e12}

WORLDS: Mapping[str, World] = {
    "Precision": World("Precision", PRECISE, _levels("P", BITS), "log-huber", far={**FAR, "P": 4.0}),
    "Sparsity": World("Sparsity", SPARSE, _levels("S", ZEROS), "log-huber", far={**FAR, "S": 0.5}),
    "Routed": World("Routed", ROUTED, _levels("experts", EXPERTS), "log-huber", far={**FAR, "experts": 64.0}),
    "FineGrained": World("FineGrained", FINE, _levels("G", GRAINS), "log-huber", far={**FAR, "G": 4.0}),
    "DataConstrained": World("DataConstrained", REPEATED, _repeats, "log-huber", far={**FAR, "U": 1e11}),
    "ChinchillaGamma": World("ChinchillaGamma", GAMMA, _wide, "log-huber", far={"N": 1e12, "D": 1e14}),
    "BNSL1": World("BNSL1", BREAK, _ladder, "log-huber", scatter=0.002, far={"N": 2e11, "D": 4e12}),
    "BNSL": World("BNSL", BREAK, _ladder, "log-huber", scatter=0.002, far={"N": 2e11, "D": 4e12}, formula_of="BNSL1"),
    "Mixing": World("Mixing", MIXED, _mixtures, "log-huber", scatter=0.002),
    "DataQuality": World(
        "DataQuality", {**CHINCHILLA, "q_dup": 0.4, "dE_noisy": 0.15}, _treated, "log-huber", scatter=0.003
    ),
    "DataQuality by Q": World("DataQuality", {**CHINCHILLA, "gamma": 0.8}, _qualities, "log-huber", scatter=0.003),
    "TaskAccuracy": World("TaskAccuracy", TASK, _tasks, "mse", scatter=0.003, far={"N": 1e11, "D": 3e12}),
    "Amdahl": World("Amdahl", {"lambda": 1e3, "sigma": 0.02}, _throughput, "log-mse", "throughput", 0.02),
    "Gustafson": World("Gustafson", {"lambda": 1e3, "g": 0.1}, _throughput, "log-mse", "throughput", 0.02),
    "UniversalScalability": World(
        "UniversalScalability", UNIVERSAL, _throughput, "log-mse", "throughput", 0.02
    ),
    "ParallelEfficiency": World(
        "ParallelEfficiency", {"lambda": 1e3, "sigma": 0.02}, _throughput, "log-mse", "throughput", 0.02
    ),
    "Compression": World("Compression", PENALTY, _compressed, "mse", scatter=0.003),
    "ChinchillaIsoFLOP": World(
        "ChinchillaIsoFLOP", {}, _budgets, "log-huber", scatter=0.003, method="ClusterPairsBootstrap"
    ),
    "ChinchillaEnvelope": World(
        "ChinchillaEnvelope", {}, _curves, "log-huber", scatter=0.003, method="ClusterPairsBootstrap"
    ),
    "Linear": World("Linear", LINEAR, _linear, "mse"),
    "BNSL2": World("BNSL2", BREAKS, _ladder, "log-huber", scatter=0.0005, far={"N": 2e11, "D": 4e12}),
    "Distillation": World("Distillation", DISTILLATION, _distilled, "log-huber", scatter=0.003),
}  # fmt: skip
"""By name; forms whose only columns are N, D and the loss are in `coverage`."""
