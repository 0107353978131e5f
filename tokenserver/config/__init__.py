"""Configuration: `settings` has the typed, frozen values, `load` reads them from YAML and the environment."""
