"""Running a converted model on this machine by ai-edge-litert: needs neither TensorFlow nor Keras."""
