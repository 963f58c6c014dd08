"""LoRD: continual learning with the highest accuracy per training FLOP."""

__version__ = "0.1.0"
