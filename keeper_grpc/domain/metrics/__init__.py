"""Metrics and KPIs, from plain numbers."""
