"""The image detector: settings, fit, model, examination, and what is read from it.

::

    settings ── fit ──► model ── examine(images) ──► examination ──► reasons, regions, maps
                          └── latents                           (functions of the examination)

Rooms and modules, the lowest first; each imports only from lines before its own, or from itself:

1.  ``conditions`` (products and their codes), ``heatmaps`` (maps for people), ``score`` (from maps
    to one number);
2.  ``features`` (the filter bank, or a user's backbone in its place);
3.  ``place`` (where an image lies and what of it counts: registration, foreground);
4.  ``image_list`` (images, none decoded yet, and how each is prepared);
5.  ``networks`` (from images to maps: bank, members on pixels);
6.  ``settings`` (what a user asks, and whether it can be);
7.  ``fit`` (training set, maps, networks, from images of good parts);
8.  ``tiles`` (large images: grid, network, one look, fit);
9.  ``model`` (`ImageModel`: all that is saved, all that scoring needs);
10. ``training`` (settings and images in, a model out), ``examination`` (one pass over images),
    ``saved`` (model directory);
11. ``latents``, ``reasons`` (what is read from model and examination), ``onnx``;
12. ``detector`` (the scikit-learn face).
"""
