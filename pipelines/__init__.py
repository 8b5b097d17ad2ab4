"""Runnable jobs: a TOML file each, and a few lines of Python over the package's public API."""
