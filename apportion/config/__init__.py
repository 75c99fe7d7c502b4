"""The config as frozen values: read once from TOML and CSV, checked as a whole, and passed down in parts."""
