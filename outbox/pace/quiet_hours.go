package pace

import "time"

// QuietHours is the time of day in which an instance does not send, by the
// clocks of a place. What begins later than it ends lasts through the night;
// what begins when it ends is empty.
type QuietHours struct {
	From, To int // minutes since midnight
	Zone     *time.Location
}

// Holds reports whether t is in the quiet hours.
func (q *QuietHours) Holds(t time.Time) bool {
	if q == nil {
		return false
	}
	t = t.In(q.Zone)
	minute := t.Hour()*60 + t.Minute()
	if q.From <= q.To {
		return minute >= q.From && minute < q.To
	}
	return minute >= q.From || minute < q.To
}

// End returns the first time from t on that is not in the quiet hours.
func (q *QuietHours) End(t time.Time) time.Time {
	if !q.Holds(t) {
		return t
	}
	local := t.In(q.Zone)
	date := local.Day()
	if local.Hour()*60+local.Minute() >= q.To {
		date++
	}
	end := time.Date(local.Year(), local.Month(), date, 0, q.To, 0, 0, q.Zone)
	if !end.After(t) {
		// The clocks are put back around the end, and show it twice.
		end = local.Add(-time.Duration(local.Second())*time.Second - time.Duration(local.Nanosecond()))
	}
	for q.Holds(end) {
		end = end.Add(time.Minute)
	}
	return end.In(t.Location())
}

// Begin returns the first time after t at which quiet hours begin; zero when they
// are empty.
func (q *QuietHours) Begin(t time.Time) time.Time {
	if q == nil || q.From == q.To {
		return time.Time{}
	}
	local := t.In(q.Zone)
	for day := local.Day(); ; day++ {
		begin := time.Date(local.Year(), local.Month(), day, 0, q.From, 0, 0, q.Zone)
		if begin.After(t) && q.Holds(begin) {
			return begin.In(t.Location())
		}
	}
}
