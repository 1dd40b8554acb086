"""A provider in Python that keeps FATE's component contract, made without FATE: fate-flow-api part 3 and fate-components are all that it knows."""
