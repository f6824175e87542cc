"""Functions as tools, and the loop that lets a model use them."""
