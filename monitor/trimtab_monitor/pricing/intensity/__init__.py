"""Carbon intensity of the grid by the hour: asked of providers at the edge, kept, used when read."""
