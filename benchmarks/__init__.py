"""Scripts that print ratios against named baselines."""
