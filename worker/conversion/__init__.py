"""From a Keras model to a `.tflite`: the only place that imports TensorFlow and Keras."""
