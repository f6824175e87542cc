"""How many requests may begin: windows, the gate that a 429 closes, and those who wait."""
