"""The files that speak SQL to the key store, a database of its own. What each of them does: `privacy.vault`."""
