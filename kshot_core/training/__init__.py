"""Training of the bank and the simplex-net."""
