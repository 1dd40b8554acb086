package trust

// ReadTerms reads the text of a mandate, and is opened to the tests of this package only.
func ReadTerms(text []byte) error {
	_, err := readTerms(text)
	return err
}
