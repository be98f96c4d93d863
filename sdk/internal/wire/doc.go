// Package wire translates between the contract's types in package sdk and
// their messages: one function per type and direction, named To... (to the
// wire) and From....
//
// Unknown enum values of a newer peer are kept and shown ("unknown(17)") where
// they describe, and are errors where they would change arithmetic.
package wire
