"""Advice: enhance, suggest, make a task, take a report."""
