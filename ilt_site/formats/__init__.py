"""How days and times are written, everywhere (FORMAT_MODULE_PATH)."""
