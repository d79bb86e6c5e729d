"""Getting a model's files and judging them, before TensorFlow or Keras is imported."""
