package main

// cursor goes through the samples of one domain.
type cursor struct {
	table  table
	domain int32
	blocks []int

	nextBlock int
	rows      []row // of the current block, all domains
	at        int
}

// peek is the next sample; ok is false at the end.
func (c *cursor) peek() (s row, ok bool, err error) {
	for {
		for ; c.at < len(c.rows); c.at++ {
			if c.rows[c.at].domain == c.domain {
				return c.rows[c.at], true, nil
			}
		}
		if c.nextBlock == len(c.blocks) {
			return row{}, false, nil
		}
		c.rows, err = c.table.block(c.blocks[c.nextBlock])
		if err != nil {
			return row{}, false, err
		}
		c.nextBlock, c.at = c.nextBlock+1, 0
	}
}

// advance goes behind the sample that peek gave.
func (c *cursor) advance() { c.at++ }

func (c *cursor) rewind() { c.nextBlock, c.rows, c.at = 0, nil, 0 }
