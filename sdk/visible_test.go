package sdk

import (
	"slices"
	"testing"
)

func TestVisibleGPUs(t *testing.T) {
	installed := []InstalledGPU{
		{UUID: "GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", MIG: []string{"MIG-c7384736-a75d-5afc-978f-d2f1294409fd", "MIG-a28ad590-3fda-56dd-84fc-0a0b96edc58d"}},
		{UUID: "GPU-8f6d9a10-0000-4106-c12f-000000000001"},
		{UUID: "GPU-11111111-0000-4106-c12f-000000000002"},
	}
	for _, x := range []struct {
		value string
		want  []int
		note  bool
	}{
		{"", nil, false},
		{" ", nil, false},
		{"0", []int{0}, false},
		{"2,0", []int{2, 0}, false},
		{" 1 , 2 ", []int{1, 2}, false},
		{"1,1", []int{1}, false},
		{"-1", nil, true},
		{"NoDevFiles", nil, true},
		{"0,3,1", []int{0}, true},
		{"1,,2", []int{1}, true},
		{"GPU-8932f937-d72c-4106-c12f-20bd9faed9f6", []int{0}, false},
		{"GPU-8f,GPU-1", []int{1, 2}, false},
		{"GPU-8", nil, true}, // two begin like this
		{"GPU-", nil, true},
		{"GPU-77", nil, true},
		{"8932f937", nil, true},
		{"MIG-c7384736-a75d-5afc-978f-d2f1294409fd", []int{0}, false},
		{"MIG-a28a,2", []int{0, 2}, false},
		{"MIG-c7384736-a75d-5afc-978f-d2f1294409fd,MIG-a28a", []int{0}, false},
		{"MIG-ffff", nil, true},
		{"MIG-", nil, true},
		{"MIG-GPU-8932f937-d72c-4106-c12f-20bd9faed9f6/1/0", []int{0}, false},
		{"MIG-GPU-77777777/1/0", nil, true},
	} {
		got, note := VisibleGPUs(x.value, installed)
		var want []string
		for _, i := range x.want {
			want = append(want, installed[i].UUID)
		}
		if !slices.Equal(got, want) || (note != "") != x.note {
			t.Errorf("%q: %v (%s), want %v", x.value, got, note, want)
		}
	}
}
