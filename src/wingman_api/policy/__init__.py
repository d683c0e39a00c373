"""What the policy would say."""
