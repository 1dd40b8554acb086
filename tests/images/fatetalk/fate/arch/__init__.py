"""The engines of the provider."""
