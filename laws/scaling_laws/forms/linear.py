"""Three factors in one line, performance = a*compute + b*data + c*compression + error, by least squares."""

from scaling_laws.forms.base import LinearForm

LINEAR = LinearForm(
    name="Linear",
    formula="loss = const + sum of coefficient * feature",
    default_features=("log(N)", "log(D)", "pipeline"),
)
