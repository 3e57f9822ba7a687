"""The one place where the version of otel-har stands."""

__version__ = "0.1.0"
