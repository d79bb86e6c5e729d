"""What the stage verify judges a written file by: consistency, figures, their limits, golden prompts."""
