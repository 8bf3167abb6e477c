package main

import (
	"testing"
	"time"
)

func TestFormats(t *testing.T) {
	for got, want := range map[string]string{
		count(int64(0)):                       "0",
		count(uint64(999)):                    "999",
		count(int64(1000)):                    "1\u202f000",
		count(int64(1234567)):                 "1\u202f234\u202f567",
		size(int64(0)):                        "0 B",
		size(int64(1023)):                     "1023 B",
		size(int64(1536)):                     "1.5 KiB",
		size(int64(3 << 30)):                  "3 GiB",
		size(uint64(1) << 62):                 "4096 PiB",
		rate(1 << 20):                         "1 MiB/s",
		each(0.25):                            "0.2/s",
		each(1234.4):                          "1\u202f234/s",
		span(90 * time.Microsecond):           "90 µs",
		span(1500 * time.Microsecond):         "1 ms",
		span(2500 * time.Millisecond):         "2.5 s",
		span(61 * time.Second):                "1 min 1 s",
		span(25*time.Hour + time.Minute):      "1 d 1 h",
		chart([]float64{0, 5}, 10):            "595.0,100.0 600.0,50.0 ",
		size(top([]float64{3}, []float64{0})): "5 B",
		size(topBytes([]float64{1025})):       "2 KiB",
		size(topBytes(nil)):                   "1 B",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
