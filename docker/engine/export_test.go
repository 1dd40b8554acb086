package engine

// Device is the host's name for a network.
func Device(network string) string { return deviceName(network) }
