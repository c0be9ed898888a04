"""An experiment on a cluster, as its owner sees it: everything goes through the API server.

options        which cluster the command line means
configuration  kubeconfig or a pod's own account, by the official client
client         requests: chunked lists, patches, watches, logs
refusals       what the API server refuses, in a sentence
experiments, trials, events, ray      what is read
applying       from a file to the object, and what differs
state          where an experiment stands, what to do next, how a command ends
watching, following                   what changes, as it changes
"""
