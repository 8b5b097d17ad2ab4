"""Learn from all verdicts on a model's items, before the next night is scored.

python -m pipelines.feedback_learn pipelines/feedback_learn.toml [YYYY-MM-DD]
"""

from __future__ import annotations

from typing import Any

from pydantic import Field

from pipelines.job import Job, run_job
from pipelines.places import Place
from vae_anomaly.jobs.learning.learn import learn_verdicts
from vae_anomaly.tracking import registered_name, withdraw_stage


class FeedbackLearn(Job):
    """Of which model, and which columns of entities may count."""

    model: Place
    learn: list[str] = Field(default_factory=list)
    off: bool = False
    who: str | None = None


def learn(job: FeedbackLearn) -> dict[str, Any]:
    """Put what was learned in force, or take it out; return what that is."""
    if job.off:
        name = registered_name(job.model)
        return {"model": name, "was": withdraw_stage(name, job.tracking_uri, job.who)}
    lesson = learn_verdicts(job.model, columns=job.learn, who=job.who, uri=job.tracking_uri)
    return lesson.to_dict()


if __name__ == "__main__":
    run_job(FeedbackLearn, learn)
