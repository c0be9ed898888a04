"""Distillation: Busbridge et al. 2025, "Distillation Scaling Laws" (arXiv:2502.08606, equation 8).

A student of N parameters distilled over D tokens from a teacher of loss `teacher_loss`; `supervised_loss` is that of
the same student trained on as many tokens without a teacher (measured, or by a law of such models). The student ends
near its teacher where it can, and above it where the teacher is beyond its capacity: the break at
teacher_loss = d1*supervised_loss.
"""

from scaling_laws.forms.expression import Coefficient, ExpressionForm

DISTILLATION = ExpressionForm(
    name="Distillation",
    formula=(
        "L = teacher_loss + 1/teacher_loss^c0*(1 + (teacher_loss/(supervised_loss*d1))^(1/f1))^(-c1*f1)"
        "*(A/N^alpha + B/D^beta)^gamma"
    ),
    variables=("N", "D", "teacher_loss", "supervised_loss"),
    declared=(
        Coefficient("c0", lower=-20.0, upper=20.0, start=(0.0, 5.0)),
        Coefficient("d1", is_positive=True, lower=0.05, upper=20.0, start=(0.6, 1.6)),
        Coefficient("f1", is_positive=True, lower=0.005, upper=10.0, start=(0.02, 1.0)),
        Coefficient("c1", lower=-5000.0, upper=5000.0, start=(0.0, 60.0)),
        Coefficient("A", is_positive=True, start=(1e-3, 10.0), term=("N", "alpha")),
        Coefficient("alpha", lower=0.0, upper=10.0, start=(0.1, 1.0)),
        Coefficient("B", is_positive=True, start=(1e-3, 10.0), term=("D", "beta")),
        Coefficient("beta", lower=0.0, upper=10.0, start=(0.1, 1.0)),
        Coefficient("gamma", is_positive=True, lower=0.01, upper=100.0, start=(0.3, 2.0)),
    ),
)
