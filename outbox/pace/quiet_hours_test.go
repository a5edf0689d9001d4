package pace

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func zone(t interface{ Fatal(...any) }, name string) *time.Location {
	place, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return place
}

func TestQuietHoursEndByTheClocksOfTheirPlace(t *testing.T) {
	const night, noon = "22:00-08:00", "12:00-13:30"
	for _, c := range []struct {
		name, hours, zone, at, want string
	}{
		{"in the evening", night, "America/Sao_Paulo", "2026-03-10T23:30:00-03:00", "2026-03-11T08:00:00-03:00"},
		{"after midnight", night, "America/Sao_Paulo", "2026-03-11T00:30:00-03:00", "2026-03-11T08:00:00-03:00"},
		{"as they begin", night, "America/Sao_Paulo", "2026-03-10T22:00:00-03:00", "2026-03-11T08:00:00-03:00"},
		{"as they end", night, "America/Sao_Paulo", "2026-03-11T08:00:00-03:00", "2026-03-11T08:00:00-03:00"},
		{"by day", night, "America/Sao_Paulo", "2026-03-11T15:00:00-03:00", "2026-03-11T15:00:00-03:00"},
		{"at the year's end", night, "UTC", "2026-12-31T23:00:00Z", "2027-01-01T08:00:00Z"},
		{"within a day", noon, "UTC", "2026-03-11T12:59:59Z", "2026-03-11T13:30:00Z"},
		{"empty", "10:00-10:00", "UTC", "2026-03-11T10:00:00Z", "2026-03-11T10:00:00Z"},
		// New York goes from 02:00 to 03:00 on 8 March and from 02:00 back to 01:00 on 1 November 2026.
		{"the clocks go forward at night", night, "America/New_York", "2026-03-07T23:00:00-05:00", "2026-03-08T08:00:00-04:00"},
		{"the clocks go back at night", night, "America/New_York", "2026-10-31T23:00:00-04:00", "2026-11-01T08:00:00-05:00"},
		{"they end at a time that is left out", "22:00-02:30", "America/New_York", "2026-03-07T23:00:00-05:00", "2026-03-08T03:00:00-04:00"},
		{"they end at a time that comes twice", "22:00-01:30", "America/New_York", "2026-11-01T01:10:00-05:00", "2026-11-01T01:30:00-05:00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			q := ReadQuietHours(c.hours[:5], c.hours[6:], c.zone)
			at, err := time.Parse(time.RFC3339, c.at)
			if err != nil {
				t.Fatal(err)
			}
			want, err := time.Parse(time.RFC3339, c.want)
			if err != nil {
				t.Fatal(err)
			}
			if got := q.End(at); !got.Equal(want) {
				t.Errorf("end = %s, want %s", got.In(q.Zone), want.In(q.Zone))
			}
		})
	}
}

// Whatever the place and the season: nobody is woken, and nobody waits for an
// end that has been long ago.
func TestQuietHoursEndWhenTheClocksSaySo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		q := &QuietHours{
			From: rapid.IntRange(0, 1439).Draw(rt, "from"), To: rapid.IntRange(0, 1439).Draw(rt, "to"),
			Zone: zone(rt, rapid.SampledFrom([]string{"UTC", "America/Sao_Paulo", "America/New_York", "Europe/Lisbon", "Australia/Lord_Howe"}).Draw(rt, "zone")),
		}
		at := time.Unix(rapid.Int64Range(1767225600, 1798761600).Draw(rt, "at"), 0).UTC() // in 2026
		end := q.End(at)
		if q.Holds(end) || end.Before(at) {
			rt.Fatalf("end = %s, at %s", end.In(q.Zone), at.In(q.Zone))
		}
		// The end, or the whole time between, may be what the clocks leave out.
		quiet := time.Duration((q.To-q.From+1440)%1440) * time.Minute
		most := quiet + time.Hour
		if quiet >= Day-time.Hour {
			most += Day
		}
		if end.Sub(at) > most {
			rt.Fatalf("end = %s, more than %s after %s", end.In(q.Zone), most, at.In(q.Zone))
		}
		for t := at; t.Before(end.Add(-time.Hour)); t = t.Add(7 * time.Minute) {
			if !q.Holds(t) {
				rt.Fatalf("%s is not quiet, but the end is told as %s", t.In(q.Zone), end.In(q.Zone))
			}
		}
	})
}
