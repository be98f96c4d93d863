package phase

import (
	"errors"
	"math"
)

var errSingular = errors.New("the design cannot tell its parts from each other; vary prompt length, output length and concurrency apart")

// leastSquares solves for the coefficients of Point.regressors that minimise the
// sum of squared relative errors. The columns are scaled to unit length first, so
// that the normal equations lose no more digits than the design itself does.
// inverse is that of the scaled normal equations: the covariance of the
// coefficients but for a factor and the scale.
func leastSquares(points []Point) (coefficients []float64, inverse [][]float64, err error) {
	const n = 4
	rows := make([][]float64, len(points))
	var scale [n]float64
	for i, p := range points {
		rows[i] = p.regressors()
		for j := range rows[i] {
			rows[i][j] /= p.EnergyJ
			scale[j] = math.Hypot(scale[j], rows[i][j])
		}
	}
	var m [n][2*n + 1]float64
	for _, row := range rows {
		for j := range n {
			if scale[j] == 0 {
				return nil, nil, errSingular
			}
			for k := range n {
				m[j][k] += row[j] / scale[j] * row[k] / scale[k]
			}
			m[j][2*n] += row[j] / scale[j] // every target is 1: E/E
		}
	}
	for j := range n {
		m[j][n+j] = 1
	}
	for col := range n {
		pivot := col
		for r := col + 1; r < n; r++ {
			if math.Abs(m[r][col]) > math.Abs(m[pivot][col]) {
				pivot = r
			}
		}
		m[col], m[pivot] = m[pivot], m[col]
		if !(math.Abs(m[col][col]) > 1e-10) {
			return nil, nil, errSingular
		}
		for r := range n {
			if r == col {
				continue
			}
			f := m[r][col] / m[col][col]
			for k := col; k <= 2*n; k++ {
				m[r][k] -= f * m[col][k]
			}
		}
	}
	for j := range n {
		row := make([]float64, n)
		for k := range n {
			row[k] = m[j][n+k] / m[j][j]
		}
		inverse = append(inverse, row)
		coefficients = append(coefficients, m[j][2*n]/m[j][j]/scale[j])
	}
	return coefficients, inverse, nil
}
