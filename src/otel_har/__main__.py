"""Makes `python -m otel_har` the same as the command `otel-har`."""

from otel_har.cli import main

if __name__ == "__main__":
    main()
