"""What serves both wings between a network and a verdict, in the order that a score is made.

``evidence`` (nats) -> ``fusion`` (one raw score) -> ``conformal`` (p-value, anomaly score) ->
``judging`` (the flag; what could not be scored); ``probability`` where labels exist.
"""
