"""The privacy centre: what is held, who looked, what a person asks. Thin doors to services; nothing is decided here."""
