"""All that touches the cluster: the API server by the official client, drivers by HTTP."""
