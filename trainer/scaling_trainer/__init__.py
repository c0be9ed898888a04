"""The data plane: trains and compresses trials. No Kubernetes in here."""
