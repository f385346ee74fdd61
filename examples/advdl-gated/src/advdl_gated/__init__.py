"""A gated backbone, its layer, and a loss: a plugin for advdl."""
