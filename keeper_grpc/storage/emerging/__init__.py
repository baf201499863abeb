"""Emerging patterns in the database: sightings, detection, feed, retention."""
