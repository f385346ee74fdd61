"""Sweeps: many runs that search the settings which do best."""
