"""Options that several commands share."""

from vae_anomaly.cli.options.common import (
    at_store,
    groups_option,
    json_option,
    labels_option,
    look_at,
    one_or_all,
    seed_option,
    state_option,
    threads_option,
    tracking_option,
)
from vae_anomaly.cli.options.declare import Body, Decorator, add_options, bundle, renamed
from vae_anomaly.cli.options.detectors import (
    destination_options,
    detector_options,
    device_option,
    parameter_option,
)
from vae_anomaly.cli.options.images import (
    class_names,
    class_options,
    defect_option,
    follow_links_option,
    good_option,
    limits_options,
    reading_options,
)
from vae_anomaly.cli.options.tables import (
    CellsSaid,
    TableOptions,
    cell_options,
    entity_options,
    entity_words,
    table_options,
)

__all__ = [
    "Body",
    "CellsSaid",
    "Decorator",
    "TableOptions",
    "add_options",
    "at_store",
    "bundle",
    "cell_options",
    "class_names",
    "class_options",
    "defect_option",
    "destination_options",
    "detector_options",
    "device_option",
    "entity_options",
    "entity_words",
    "follow_links_option",
    "good_option",
    "groups_option",
    "json_option",
    "labels_option",
    "limits_options",
    "look_at",
    "one_or_all",
    "parameter_option",
    "reading_options",
    "renamed",
    "seed_option",
    "state_option",
    "table_options",
    "threads_option",
    "tracking_option",
]
