"""How good a method is: benchmarks, metrics, rivals, published figures."""
