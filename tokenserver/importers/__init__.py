"""Importers: what other token servers and registries have, as a configuration and policies of this one.

Each source has a room of its own. A report says of every construct whether it was translated exactly, and nothing is
guessed. Nothing here prints, and nothing is written but one new folder, whole or not at all. Pure but for files.
"""
