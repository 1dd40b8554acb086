// Package evaluation is the component that judges predictions: it reads prediction frames and reports one metric with
// figures and tables for binary and multi-class classification and for regression.
//
// Start at [Component]; binary.go, tables.go, multi.go and regression.go hold the formulas, names.go says which exist.
package evaluation
