"""Energy meters on make-believe hardware whose true energy is known."""
