"""Exporting programs: artifacts that run without this package, and programs loaded from them."""
