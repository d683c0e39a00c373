"""Rotation: every secret replaced while people work, the old one refused afterwards."""
