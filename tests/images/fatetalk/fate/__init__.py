"""A small provider whose components talk with those of other parties, by the engines that FATE can be configured for."""
