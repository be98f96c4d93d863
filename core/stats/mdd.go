package stats

// Power behind every minimal detectable difference: the chance of finding a
// difference of that size at the 5 % level.
const Power = 0.8

// mdd from a standard error and its degrees of freedom: (t(0.975)+t(0.8)) times the
// error, which is cv·√(2/n) at 2n-2 degrees of freedom for two groups, and cv/√n at n-1
// for n pairs whose differences spread by cv. The test's own power (noncentral t) gives
// nearly the same, within 1 % from n = 3 on.
func mdd(se, df float64) float64 { return mddAt(1-Confidence, se, df) }

// mddAt is mdd of a test at another level.
func mddAt(level, se, df float64) float64 {
	return (TQuantile(1-level/2, df) + TQuantile(Power, df)) * se
}
