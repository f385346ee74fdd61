"""The composition root: a validated configuration becomes a run folder, an env, a learner, a source and a trainer."""
