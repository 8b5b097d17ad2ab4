"""Generate the demo's input: surface images with defects, and card transactions with frauds.

Both generators are seeded and use nothing but numpy's `Generator`: the same `random_state` gives
the same bytes.
"""

from __future__ import annotations

from vae_anomaly.data.synthetic.surfaces import Surface, render_surfaces, write_surfaces
from vae_anomaly.data.synthetic.transactions import simulate_transactions, write_transactions

__all__ = [
    "Surface",
    "render_surfaces",
    "simulate_transactions",
    "write_surfaces",
    "write_transactions",
]
