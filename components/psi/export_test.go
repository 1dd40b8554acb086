package psi

// SetBucketRows makes small tables take the way of large ones.
func SetBucketRows(n int) (restore func()) {
	before := bucketRows
	bucketRows = n
	return func() { bucketRows = before }
}

// EncodeMatches and DecodeMatches open the one decoder of the package; every point is zero.
func EncodeMatches(positions []int, sampleIDs []string) []byte {
	var out []byte
	proven := map[int]bool{}
	for i, p := range positions {
		out = appendMatch(out, match{position: p, sampleID: sampleIDs[i], proves: !proven[p]})
		proven[p] = true
	}
	return out
}

// DecodeMatches is the inverse of EncodeMatches.
func DecodeMatches(data []byte, limit int) (positions []int, sampleIDs []string, err error) {
	list, err := decodeMatches(data, make([]bool, limit))
	for _, m := range list {
		positions, sampleIDs = append(positions, m.position), append(sampleIDs, m.sampleID)
	}
	return positions, sampleIDs, err
}
