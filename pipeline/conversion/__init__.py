"""From a Keras model to a `.tflite`: the only place that imports TensorFlow and Keras."""

import os

# Keras reads its backend when it is imported, from the user's own configuration if nothing is said here.
os.environ["KERAS_BACKEND"] = "tensorflow"
# TensorFlow's notes about the machine would drown the stage's log.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
