"""Configuration: `settings` holds the typed, frozen values, `load` reads them from YAML and the environment."""
