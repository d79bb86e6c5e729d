"""The farm over HTTP: a FastAPI application in front of the farm of this machine."""
