"""Trials on Ray: on this machine, or on the nodes of a cluster.

pools        slots of a node, and what a lane asks Ray for
connection   a Ray of our own on this machine, or the cluster's
lane_actor   a lane's process on its node
gang_actor   a trial of several workers, on Ray Train
gang_worker  one of these workers
failures     what Ray's errors mean
lanes        all lanes, from the driver's side
executor     the executor
"""
