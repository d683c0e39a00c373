"""Instructions: checked before anybody is asked to approve them."""
