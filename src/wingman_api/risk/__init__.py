"""The risk of a request: independent sources, asked at once, each for as long as it may take."""
