"""stub, replaced below."""
