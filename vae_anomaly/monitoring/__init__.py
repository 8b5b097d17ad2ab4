"""Is a night like the training? BinCounts, and what they tell; nothing here reads a folder.

::

    baseline   what training inputs looked like, kept in the model
    columns    the columns of a table, looks: the measures of an image
    tally      what a night's items looked like, counted while they are scored
    checks     which of it moved, with the rate of false alarms held; moved: in words
"""
