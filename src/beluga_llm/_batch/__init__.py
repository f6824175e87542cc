"""Many calls at a time: in memory, as they are completed, and from one file to another."""
