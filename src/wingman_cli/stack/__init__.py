"""Deployments from images: the TEST and PRD compose environments, as an operator starts and stops them."""
