"""How fast inference is: against a plain implementation, against the machine, in batches.

Only `comparing` and `tiles` need PyTorch; `released` measures ONNX Runtime.
"""
