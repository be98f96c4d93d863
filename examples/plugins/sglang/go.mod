module example.com/llem-sglang

go 1.26.0

require github.com/llenergymeasure/llem/sdk v0.0.0
