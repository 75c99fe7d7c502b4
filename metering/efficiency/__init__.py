"""What the hardware could do and what the tokens took of it: FLOPs, bytes, seconds, joules, grams, prices. Exact rationals, no I/O."""
