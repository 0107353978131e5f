"""Builds, publishes, signs and verifies a release: wheel, source distribution, image and chart. See CONTRIBUTING.md.

It runs on the machine that releases and is in no package. Every step is a command of `python -m release`, so that
.github/workflows/release.yml only calls them, and tests/e2e/test_release.py calls the same ones.
"""
