package phase

import (
	"errors"
	"math"
)

var errSingular = errors.New("the design cannot tell its parts from each other; vary concurrency, and sweep three pairs of prompt and output length or more: with two, what decoding pays for its context cannot be told from prefill")

// solution is what least squares came to.
type solution struct {
	coefficients []float64
	// inverse is that of the normal equations of columns scaled to unit length, the
	// lengths are scale: the covariance of the coefficients but for a factor.
	inverse [][]float64
	scale   [parts]float64
}

// value is the weighted sum of the coefficients.
func (s solution) value(weights [parts]float64) float64 {
	sum := 0.0
	for i, w := range weights {
		sum += w * s.coefficients[i]
	}
	return sum
}

// error is what that sum is off by (1 sd) where the points are off by 1, relative.
func (s solution) error(weights [parts]float64) float64 {
	sum := 0.0
	for i, v := range weights {
		for j, w := range weights {
			sum += v / s.scale[i] * s.inverse[i][j] * w / s.scale[j]
		}
	}
	return math.Sqrt(sum)
}

// leastSquares solves for the coefficients of Point.regressors that minimise the
// sum of squared relative errors. The columns are scaled to unit length first, so
// that the normal equations lose no more digits than the design itself does.
func leastSquares(points []Point) (solution, error) {
	const n = parts
	rows := make([][parts]float64, len(points))
	var s solution
	for i, p := range points {
		rows[i] = p.regressors()
		for j := range rows[i] {
			rows[i][j] /= p.EnergyJ
			s.scale[j] = math.Hypot(s.scale[j], rows[i][j])
		}
	}
	var m [n][2*n + 1]float64
	for _, row := range rows {
		for j := range n {
			if s.scale[j] == 0 {
				return s, errSingular
			}
			for k := range n {
				m[j][k] += row[j] / s.scale[j] * row[k] / s.scale[k]
			}
			m[j][2*n] += row[j] / s.scale[j] // every target is 1: E/E
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
			return s, errSingular
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
		s.inverse = append(s.inverse, row)
		s.coefficients = append(s.coefficients, m[j][2*n]/m[j][j]/s.scale[j])
	}
	return s, nil
}
