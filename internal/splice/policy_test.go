package splice

import "testing"

func TestPolicyTurnsToBulkAndBack(t *testing.T) {
	var p Policy
	feed := func(n, times int) {
		for range times {
			p.Saw(n)
		}
	}
	feed(64, 100)
	if p.Bulk() {
		t.Fatal("small pieces are bulk")
	}
	feed(largePiece, enough-1)
	if p.Bulk() {
		t.Fatal("bulk too early")
	}
	feed(largePiece, 1)
	if !p.Bulk() {
		t.Fatal("large pieces are not bulk")
	}
	feed(largePiece, 1000) // does not make it slower to turn back
	feed(smallPiece, 1000) // in between: no change
	feed(smallPiece-1, enough-1)
	if !p.Bulk() {
		t.Fatal("quiet too early")
	}
	feed(1, 1)
	if p.Bulk() {
		t.Fatal("small pieces are still bulk")
	}
	p.Refused()
	feed(largePiece, 100)
	if p.Bulk() {
		t.Fatal("bulk again right after a refusal")
	}
	feed(largePiece, 100)
	if !p.Bulk() {
		t.Fatal("never bulk again after a refusal")
	}
}
