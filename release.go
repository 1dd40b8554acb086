package openflow

// Release is the version of this source: the newest one that CHANGELOG.md describes.
const Release = "0.1.0"
