"""Emerging patterns: the detector and the feed."""
