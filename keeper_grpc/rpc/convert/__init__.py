"""Conversion between protos and the domain, one file for each area of the API."""
