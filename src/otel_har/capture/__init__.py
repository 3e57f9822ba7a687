"""One module for each client library, the only one that imports it: hooks in, exchanges out."""
