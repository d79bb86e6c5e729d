"""Folders that Transformers wrote, read straight into the decoder's description and weights. No TensorFlow here.

Every tensor of the files and every key of `config.json` is used, or known not to change the result, or refused by name.
"""
