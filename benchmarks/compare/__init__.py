"""What recording costs, with this recorder and with others: `python -m benchmarks.compare`. See docs/cost.md."""
