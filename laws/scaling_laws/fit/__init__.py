"""Fitting laws to points, and predicting from them."""

from scaling_laws.fit.fit_law import fit_law
from scaling_laws.fit.options import IntervalOptions, Objective
from scaling_laws.fit.predict import predict, predict_draws
from scaling_laws.forms import form_names

__all__ = ["IntervalOptions", "Objective", "fit_law", "form_names", "predict", "predict_draws"]
