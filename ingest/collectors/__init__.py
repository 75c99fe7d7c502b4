"""How records arrive. A collector yields slices: bytes, where they stood in their stream, and nothing about what they say."""
