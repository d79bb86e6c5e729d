"""Chat templates: from the model's own to pieces that need no template engine."""
