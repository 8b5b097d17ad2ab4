"""What a column tells beside the event: the answer, who, where someone lives, which one."""

from vae_anomaly.data.tables.kinds.roles.attributes import attributes_of_keys
from vae_anomaly.data.tables.kinds.roles.propose import (
    copies_of_label,
    known_answer,
    likeliest_label,
    proposed_roles,
    told_by,
)

__all__ = [
    "attributes_of_keys",
    "copies_of_label",
    "known_answer",
    "likeliest_label",
    "proposed_roles",
    "told_by",
]
