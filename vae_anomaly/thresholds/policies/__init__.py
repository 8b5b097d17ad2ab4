"""The policies: a file declares one or a family of them in ``POLICIES``, and that is all.

`vae_anomaly.thresholds.catalogue` finds every file of this folder.
"""
