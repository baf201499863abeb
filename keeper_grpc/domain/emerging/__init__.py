"""Emerging patterns: clusters of recent sightings, their life, and how they are described."""
