"""What a form is: a declaration that the engine in `scaling_laws.fit` knows how to fit."""

from dataclasses import dataclass, field

from scaling_laws.forms.expression import ExpressionForm


@dataclass(frozen=True)
class Term:
    """One positive term of a sum: amplitude times a product of variables to minus their exponents."""

    amplitude: str
    """Name of the positive coefficient in front; each term has its own."""
    powers: tuple[tuple[str, str], ...] = ()
    """Pairs (exponent, variable): the term falls as variable^-exponent. One exponent may serve several terms."""


@dataclass(frozen=True)
class LogSumExpForm:
    """A law that is a sum of positive power-law terms: log L = logsumexp_k(c_k + theta_k . z)."""

    name: str
    """Registered name."""
    formula: str
    """Written out with the coefficients' names."""
    coefficients: tuple[str, ...]
    """Amplitudes and exponents, in the order of the formula."""
    terms: tuple[Term, ...]
    """What is summed."""
    fixed: tuple[tuple[str, float], ...] = ()
    """Coefficients that are not fitted, with their values in natural units."""
    exponent_bounds: tuple[float, float] = (0.0, 10.0)
    """Limits of every fitted exponent; a loss that rises with a variable ends on the lower one."""
    exponent_starts: tuple[float, ...] = field(default=(0.02, 0.05, 0.1, 0.17, 0.25, 0.35, 0.5, 0.7, 1.0, 1.5, 2.5))
    """Exponents at which the amplitudes are solved for, to find where descents begin."""

    @property
    def amplitudes(self) -> tuple[str, ...]:
        """Names of the positive coefficients, one a term."""
        return tuple(term.amplitude for term in self.terms)

    @property
    def variables(self) -> tuple[str, ...]:
        """Names of the variables raised to exponents, each once, in order of appearance."""
        return tuple(dict.fromkeys(variable for term in self.terms for _, variable in term.powers))


@dataclass(frozen=True)
class LinearForm:
    """A law that is linear in its coefficients: the response is a weighted sum of features, fitted by least squares."""

    name: str
    """Registered name."""
    formula: str
    """Written out."""
    default_features: tuple[str, ...]
    """Features when none are named; those that the points lack are left out."""


@dataclass(frozen=True)
class TableForm:
    """A form whose formula depends on the table: on its domains, treatments or groups, or on several steps of fits."""

    name: str
    """Registered name."""
    formula: str
    """The scheme; a fitted law has the formula that its table led to."""
    roles: tuple[str, ...] = ("N", "D", "loss")
    """Of N, D and loss: those that it needs."""
    columns: tuple[str, ...] = ()
    """Further columns that it needs."""
    uses: tuple[str, ...] = ()
    """Further columns that it uses where the table has them."""
    takes_features: bool = False
    """Whether the user may name its columns."""
    prefix: str = ""
    """Columns that begin with this are its features where none are named."""
    default_loss: str = "log-huber"
    """What is minimised unless the user says otherwise."""


Form = LogSumExpForm | LinearForm | ExpressionForm | TableForm
