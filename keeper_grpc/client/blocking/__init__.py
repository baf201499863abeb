"""The synchronous client, for Django, Flask, Celery and scripts."""
