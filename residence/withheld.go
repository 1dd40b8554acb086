package residence

// Withheld are the variables of a command that runs in a resident container beside its runs, in place of the container's own. Whoever
// runs as the same user can read with what it was started, and the secret is for nobody but the node and the container.
func Withheld() []string { return []string{Address + "=", Key + "="} }
