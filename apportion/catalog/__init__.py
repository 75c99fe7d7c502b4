"""Public facts that come with the program: what GPUs can do and what clouds list for them. Labelled, dated, never billed silently."""
