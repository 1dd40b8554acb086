package engine

// Device is the host's name for a network.
func Device(network string) string { return deviceName(network) }

// ComesBefore is the rule of INPUT that lets a network's packets in before the jump to the chain of its rules.
func ComesBefore(input []string, device, chain string) string {
	_, before := firewall{chain: chain, device: device}.place(input, chain)
	return before
}
