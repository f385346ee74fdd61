"""advdl built-in plugin."""
