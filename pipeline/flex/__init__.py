"""Running models with TensorFlow operators: in a process of their own, since only that one needs TensorFlow."""
