"""Where answers are kept, and under what."""
