"""A real Kubernetes for tests, without docker, that leaves nothing behind."""
