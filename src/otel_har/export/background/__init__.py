"""The process of `BackgroundProcessHarExporter`: what is said to it and by it, and what it does."""
