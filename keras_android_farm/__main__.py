"""`python -m keras_android_farm` is `farm`."""

from keras_android_farm import main

main()
