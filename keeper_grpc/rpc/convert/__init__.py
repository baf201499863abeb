"""Conversion between protos and the domain, one file for each part of the API."""
