"""The table detector: settings, fit, model, examination, and what is read from it.

::

    settings ── fit ──► model ── examine(rows) ──► examination ──► explain, reasons, evidence
                          └── latents                           (functions of the examination)

Rooms and modules, the lowest first; each imports only from lines before its own, or from itself:

1. ``encode`` (from typed cells to the numbers that a network reads), ``input`` (whatever comes as
   a table, with names);
2. ``settings`` (what a user asks), ``network`` (a VAE that stands for a view of the table),
   ``exemplars`` (the normal rows that a new one is compared with);
3. ``model`` (`TabularModel`: all that is saved, all that scoring needs), ``examination`` (one pass
   over rows), ``saved`` (model directory);
4. ``explain``, ``reasons``, ``entity_reasons``, ``latents`` (what is read from them);
5. ``fit`` (settings and rows in, a model out);
6. ``detector`` (the scikit-learn face).
"""
