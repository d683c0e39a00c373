"""Approved commands on their way through the gateway: minted for, relayed, and looked up."""
