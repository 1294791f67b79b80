"""Speed: of training, inference and tiles (`pytorch`), of released graphs (`onnx`), compared.

`comparison` measures inference against a plain implementation and against the machine's limits.
"""
