package tables

// IDSet lets a test fill the memory of sample ids.
type IDSet struct{ *idSet }

// NewIDSet makes one that remembers limit ids.
func NewIDSet(limit int) IDSet { return IDSet{newIDSet(limit)} }

// Add reports whether id is new.
func (s IDSet) Add(id string) bool { return s.add(id) }
