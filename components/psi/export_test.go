package psi

// SetBucketRows makes small tables take the way of large ones.
func SetBucketRows(n int) (restore func()) {
	before := bucketRows
	bucketRows = n
	return func() { bucketRows = before }
}

// EncodeMatches and DecodeMatches open the one decoder of the package.
func EncodeMatches(positions []int, sampleIDs []string) []byte {
	var list []match
	for i, p := range positions {
		list = append(list, match{position: p, sampleID: sampleIDs[i]})
	}
	return encodeMatches(list)
}

// DecodeMatches is the inverse of EncodeMatches.
func DecodeMatches(data []byte, limit int) (positions []int, sampleIDs []string, err error) {
	list, err := decodeMatches(nil, data, limit)
	for _, m := range list {
		positions, sampleIDs = append(positions, m.position), append(sampleIDs, m.sampleID)
	}
	return positions, sampleIDs, err
}
