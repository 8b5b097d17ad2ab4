"""Read tables and images, check them, and make examples of both; nothing here knows of a model.

``tables`` is the ground floor. ``images`` reads tables, for a manifest is one, and never the other
way round; ``doctor`` looks at both before they are trained on; ``synthetic`` makes the demo's data.
"""
