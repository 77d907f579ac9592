package audit

import "clinicgate/policy"

// walk checks the rows of a chain one after the other, in constant memory. It goes on
// behind a bad row from what that row says, so that one hole does not hide the next.
type walk struct {
	id     policy.PracticeID
	report *Report

	next     int64 // number the next row must have
	prev     Hash  // hash of the row before
	before   Hash  // hash of the row before that one
	suspect  bool  // the row before was found bad: what follows proves nothing more about it
	first    bool  // no row read yet
	points   []point
	good     int64 // last row at which a signed point agreed
	lastHash Hash  // of the last row read
}

// newWalk begins after from (an anchor, or the beginning). points are the signed places
// on the way, in order of their rows.
func newWalk(id policy.PracticeID, from point, points []point, report *Report) *walk {
	return &walk{id: id, report: report, next: from.seq + 1, prev: from.hash, points: points, good: from.seq, first: true, lastHash: from.hash}
}

// step takes the next row. readable is what scanRecord said.
func (w *walk) step(r *Record, readable bool) {
	if r.Seq < w.next {
		w.report.add(Inserted, r.Seq, 0, "Row %d stands there more than once, or where no row can be.", r.Seq)
		return
	}
	if r.Seq > w.next {
		w.missing(w.next, r.Seq-1)
	}
	bad := w.judge(r, readable)
	if !bad && r.Prev != w.prev && !w.suspect {
		bad = w.blame(r)
	}
	w.before, w.prev, w.lastHash = w.prev, r.Hash, r.Hash
	w.suspect, w.first = bad, false
	w.next = r.Seq + 1
	w.compare(r)
}

// missing reports rows that are not there. What comes after them cannot be compared
// with them.
func (w *walk) missing(from, to int64) {
	w.report.add(Missing, from, to, "%s %s missing.", rows(from, to), is(from, to, "is", "are"))
	w.suspect = true
}

// judge looks at a row by itself.
func (w *walk) judge(r *Record, readable bool) (bad bool) {
	switch {
	case readable && r.Practice != w.id:
		w.report.add(Foreign, r.Seq, 0, "Row %d belongs to another practice (%s).", r.Seq, Clean(string(r.Practice)))
	case !readable:
		w.report.add(Altered, r.Seq, 0, "Row %d was altered: it holds what this log never writes.", r.Seq)
	case r.Hash == r.sum():
		return false
	default:
		if seq, found := w.origin(r); found {
			w.report.add(Reordered, r.Seq, 0, "Row %d is not in its place: it was recorded as row %d.", r.Seq, seq)
		} else {
			w.report.add(Altered, r.Seq, 0, "Row %d was altered: its content does not match its hash.", r.Seq)
		}
	}
	return true
}

// origin looks for the number under which r was recorded, near its place first.
func (w *walk) origin(r *Record) (seq int64, found bool) {
	const reach = 1 << 14
	moved := *r
	for d := int64(1); d <= reach; d++ {
		for _, seq := range [...]int64{r.Seq - d, r.Seq + d} {
			if moved.Seq = seq; seq > 0 && moved.sum() == r.Hash {
				return seq, true
			}
		}
	}
	return 0, false
}

// blame names the culprit when r is whole in itself but not chained to the row before
// it. It reports whether that is r.
func (w *walk) blame(r *Record) bool {
	switch {
	case w.first:
		w.report.add(Rewritten, r.Seq, 0, "Row %d does not continue from where the log begins.", r.Seq)
		return true
	case r.Prev == w.before:
		w.report.add(Inserted, r.Seq-1, 0, "Row %d was inserted: the log did not write it.", r.Seq-1)
	default:
		w.report.add(Altered, r.Seq-1, 0, "Row %d was altered: row %d was chained to another one.", r.Seq-1, r.Seq)
	}
	return false
}

// compare checks r against the signed points for its number.
func (w *walk) compare(r *Record) {
	for len(w.points) > 0 && w.points[0].seq <= r.Seq {
		p := w.points[0]
		w.points = w.points[1:]
		switch {
		case p.seq < r.Seq: // its row is missing, and that is reported
		case p.hash == r.Hash:
			w.good = r.Seq
		case !w.suspect:
			w.report.add(Rewritten, w.good+1, r.Seq,
				"%s %s recomputed without the key: row %d is not the one that was signed at %s.",
				rows(w.good+1, r.Seq), is(w.good+1, r.Seq, "was", "were"), r.Seq, p.at.Format("2006-01-02 15:04:05 MST"))
			w.suspect = true
		}
	}
}

// last is the number of the last row read.
func (w *walk) last() int64 { return w.next - 1 }
