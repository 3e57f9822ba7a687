"""Secrets out of entries: by the names they stand under, by their form, and wherever else they stand again."""
