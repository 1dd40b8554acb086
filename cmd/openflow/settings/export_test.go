package settings

// Parse lists the values of a file by key, for fuzzing.
func Parse(file string, data []byte) (map[string][]string, error) {
	entries, err := parse(file, data)
	if err != nil {
		return nil, err
	}
	values := map[string][]string{}
	for key, e := range entries {
		values[key] = e.values
	}
	return values, nil
}
