"""Mappings for exports whose columns their makers document in public. Each file names its source."""
