"""How long what is held about people may be held, why, and what happens at the end (P10, Art. 5(1)(e))."""
