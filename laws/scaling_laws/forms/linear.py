"""The starting document's law, performance = a*compute + b*data + c*compression + error, by ordinary least squares."""

from scaling_laws.forms.base import LinearForm

LINEAR = LinearForm(
    name="Linear",
    formula="loss = const + sum of coefficient * feature",
    default_features=("log(N)", "log(D)", "pipeline"),
)
