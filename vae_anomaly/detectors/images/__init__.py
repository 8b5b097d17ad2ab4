"""The image detector: settings, fit, model, examination, and what is read from it.

::

    settings ── fit ──► model ── examine(images) ──► examination ──► reasons, regions, maps
                          └── latents                           (functions of the examination)

Rooms and modules, the lowest first; each imports only from lines before its own, or from itself:

1.  ``settings`` (what a user asks), ``conditions`` (products and their codes), ``heatmaps`` (maps
    for people), ``score`` (from maps to one number);
2.  ``features`` (the filter bank, or a user's backbone in its place);
3.  ``place`` (where an image lies and what of it counts: registration, foreground, pose);
4.  ``image_list`` (images, none decoded yet, and how each is prepared);
5.  ``networks`` (from images to maps: bank, members on pixels);
6.  ``fit`` (networks, folds, placing, from images of good parts);
7.  ``tiles`` (large images: grid, network, one look, fit);
8.  ``model`` (`ImageModel`: all that is saved, all that scoring needs);
9.  ``training`` (settings and images in, a model out), ``examination`` (one pass over images),
    ``saved`` (model directory);
10. ``latents``, ``regions``, ``reasons`` (what is read from model and examination), ``onnx``;
11. ``parameters`` (what may be asked);
12. ``detector`` (the scikit-learn face).
"""
