"""Importers: the configurations of other token servers, as those servers understand them. Pure but for their files.

An importer never guesses: what it cannot read exactly, it reports with its line.
"""
