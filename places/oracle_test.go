package places

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	"github.com/herald-push/herald/push"
)

// The oracle knows the earth by vectors alone: no cells, no bounds, no library.
type vector [3]float64

func vec(p point) vector {
	lat, lon := p.lat*math.Pi/180, p.lon*math.Pi/180
	return vector{math.Cos(lat) * math.Cos(lon), math.Cos(lat) * math.Sin(lon), math.Sin(lat)}
}

func dot(a, b vector) float64 { return a[0]*b[0] + a[1]*b[1] + a[2]*b[2] }

func cross(a, b vector) vector {
	return vector{a[1]*b[2] - a[2]*b[1], a[2]*b[0] - a[0]*b[2], a[0]*b[1] - a[1]*b[0]}
}

func angle(a, b vector) float64 {
	c := cross(a, b)
	return math.Atan2(math.Sqrt(dot(c, c)), dot(a, b))
}

// inCircle answers by the angle between two vectors. near tells that the answer
// hangs on the last digits.
func inCircle(c push.Circle, p point) (in, near bool) {
	d := angle(vec(point{c.Lat, c.Lon}), vec(p)) * earthRadius
	return d <= c.Radius, math.Abs(d-c.Radius) < 1e-4
}

// inPolygon sums the angles under which a point sees the edges: they make a full
// turn if it is inside, and none if it is outside.
func inPolygon(corners []push.Location, p point) (in, near bool) {
	v := vec(p)
	sum := 0.0
	for i, c := range corners {
		n := corners[(i+1)%len(corners)]
		a, b := vec(point{c.Lat, c.Lon}), vec(point{n.Lat, n.Lon})
		// Directions from the point to both ends, on the sphere.
		ta, tb := cross(cross(v, a), v), cross(cross(v, b), v)
		sum += math.Atan2(dot(v, cross(ta, tb)), dot(ta, tb))
		// How far the edge's great circle is, where the point is beside the edge.
		normal := cross(a, b)
		length := math.Sqrt(dot(normal, normal))
		if math.Abs(dot(normal, v)/length)*earthRadius < 1e-3 || angle(v, a)*earthRadius < 1e-3 {
			near = true
		}
	}
	return math.Abs(sum) > math.Pi, near
}

// somewhere draws points, more of them where maps end.
func somewhere() *rapid.Generator[point] {
	near := func(middle, by float64) *rapid.Generator[float64] { return rapid.Float64Range(middle-by, middle+by) }
	lat := rapid.OneOf(rapid.Float64Range(-90, 90), near(89.9, 0.1), near(-89.9, 0.1), near(gridEdge, 0.05), near(-gridEdge, 0.05), near(0, 0.01),
		rapid.SampledFrom([]float64{-90, 90, 0, gridEdge, -gridEdge}))
	lon := rapid.OneOf(rapid.Float64Range(-180, 180), near(179.95, 0.05), near(-179.95, 0.05), near(0, 0.01), rapid.SampledFrom([]float64{-180, 180, 0, 90}))
	return rapid.Custom(func(t *rapid.T) point { return point{lat.Draw(t, "lat"), lon.Draw(t, "lon")} })
}

// around draws a point at most that far from another.
func around(t *rapid.T, p point, metres float64) point {
	far := metres * math.Sqrt(rapid.Float64Range(0, 1).Draw(t, "far"))
	return to(p, rapid.Float64Range(0, 2*math.Pi).Draw(t, "turn"), far)
}

// to is where one comes to from a point in a direction, after so many metres.
func to(p point, turn, metres float64) point {
	lat, lon, d := p.lat*math.Pi/180, p.lon*math.Pi/180, metres/earthRadius
	there := math.Asin(max(min(math.Sin(lat)*math.Cos(d)+math.Cos(lat)*math.Sin(d)*math.Cos(turn), 1), -1))
	east := math.Atan2(math.Sin(turn)*math.Sin(d)*math.Cos(lat), math.Cos(d)-math.Sin(lat)*math.Sin(there))
	return point{there * 180 / math.Pi, math.Remainder((lon+east)*180/math.Pi, 360)}
}

// someShape draws a circle, or a polygon that goes round its middle once.
func someShape(t *rapid.T, middle point) push.Shape {
	radius := rapid.SampledFrom([]float64{30, 800, 5_000, 80_000, MaxRadius}).Draw(t, "size") * rapid.Float64Range(0.5, 1).Draw(t, "part")
	if rapid.Bool().Draw(t, "round") {
		return push.Shape{Circle: &push.Circle{Lat: middle.lat, Lon: middle.lon, Radius: radius}}
	}
	n := rapid.IntRange(3, 40).Draw(t, "corners")
	corners := make([]push.Location, n)
	for i := range corners {
		at := to(middle, 2*math.Pi*float64(i)/float64(n), radius*rapid.Float64Range(0.3, 1).Draw(t, "corner"))
		corners[i] = push.Location{Lat: at.lat, Lon: at.lon}
	}
	return push.Shape{Polygon: corners}
}

// oracle answers for a shape as for any.
func oracle(s push.Shape, p point) (in, near bool) {
	if s.Circle != nil {
		return inCircle(*s.Circle, p)
	}
	return inPolygon(s.Polygon, p)
}

// fit leaves out the few shapes that no caller could give.
func fit(t *rapid.T, s push.Shape) push.Shape {
	var wrong []string
	CheckShape(func(field, detail string) { wrong = append(wrong, field+" "+detail) }, &s)
	if len(wrong) > 0 {
		t.Skip(wrong)
	}
	return s
}

func TestARegionHoldsWhatTheOracleSays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		middle := somewhere().Draw(t, "middle")
		s := fit(t, someShape(t, middle))
		g := newRegion(s)
		ranges := spans(cover(g.bounds, audienceCells))
		for range 50 {
			p := stored(around(t, middle, rapid.SampledFrom([]float64{20, 1000, 10_000, 3_000_000}).Draw(t, "reach")))
			want, near := oracle(s, p)
			if near {
				continue
			}
			if got := g.contains(p); got != want {
				t.Fatalf("%+v contains %+v: %v, the oracle says %v", s, p, got, want)
			}
			if !want {
				continue
			}
			if isPolar(p.lat) {
				if !g.polar {
					t.Fatalf("%+v holds %+v and is not looked for at the poles", s, p)
				}
				continue
			}
			where := score(p)
			if !slices.ContainsFunc(ranges, func(r span) bool { return r.first <= where && where <= r.last }) {
				t.Fatalf("%+v holds %+v, which none of its ranges has", s, p)
			}
		}
	})
}

func TestFencesFindWhatTheOracleFinds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		middle := somewhere().Draw(t, "middle")
		all := newFences()
		shapes := map[string]push.Shape{}
		for i := range rapid.IntRange(1, 30).Draw(t, "fences") {
			id := fmt.Sprint(i)
			s := fit(t, someShape(t, around(t, middle, 20_000)))
			shapes[id] = s
			all.put(newFence(push.Fence{ID: id, Shape: s}))
		}
		for id := range shapes {
			if rapid.Bool().Draw(t, "gone") {
				all.remove(id)
				delete(shapes, id)
			}
		}
		for range 20 {
			p := stored(around(t, middle, 25_000))
			found := map[string]bool{}
			for _, f := range all.around(p, nil) {
				if found[f.ID] {
					t.Fatalf("fence %s is found twice", f.ID)
				}
				found[f.ID] = true
			}
			for id, s := range shapes {
				if want, near := oracle(s, p); !near && want != found[id] {
					t.Fatalf("%+v in %+v: %v, the oracle says %v", p, s, found[id], want)
				}
				delete(found, id)
			}
			if len(found) > 0 {
				t.Fatalf("found what is not there: %v", found)
			}
		}
	})
}

func TestAudiencesAreWhomTheOracleFinds(t *testing.T) {
	t.Parallel()
	w := newStillWorld(t)
	ctx := context.Background()
	run := 0
	rapid.Check(t, func(t *rapid.T) {
		run++
		app := fmt.Sprintf("app%d", run)
		middle := somewhere().Draw(t, "middle")
		points := map[string]point{}
		var changes []change
		for i := range rapid.IntRange(0, 40).Draw(t, "devices") {
			id := fmt.Sprintf("d%d", i)
			p := stored(around(t, middle, rapid.SampledFrom([]float64{500, 6_000, 100_000}).Draw(t, "reach")))
			points[id] = p
			changes = append(changes, change{app: app, device: id, new: "r", where: &p, at: noon})
		}
		if len(changes) > 0 {
			if _, err := w.index.write(ctx, changes, noon); err != nil {
				t.Fatal(err)
			}
		}
		s := fit(t, someShape(t, around(t, middle, 3_000)))
		to := push.Audience{Near: s.Circle, Polygon: s.Polygon}
		limit := rapid.SampledFrom([]int{2, 7, 1000}).Draw(t, "limit")
		got := map[string]bool{}
		for after := ""; ; {
			page, err := w.Page(ctx, app, to, after, limit)
			if err != nil {
				t.Fatal(err)
			}
			for _, id := range page {
				if got[id] {
					t.Fatalf("%s comes twice", id)
				}
				got[id] = true
			}
			if len(page) < limit {
				break
			}
			after = page[len(page)-1]
		}
		if n, err := w.Count(ctx, app, to); err != nil || n != len(got) {
			t.Fatalf("Count() = %d, %v; the pages have %d", n, err, len(got))
		}
		for id, p := range points {
			if want, near := oracle(s, p); !near && want != got[id] {
				t.Fatalf("%s at %+v in %+v: %v, the oracle says %v", id, p, s, got[id], want)
			}
		}
	})
}

func TestPositionsAreWhereRedisGEOSaysTheyAre(t *testing.T) {
	t.Parallel()
	w := newStillWorld(t)
	rapid.Check(t, func(t *rapid.T) {
		p := point{rapid.Float64Range(-85.0511, 85.0511).Draw(t, "lat"), rapid.Float64Range(-180, 179.9999).Draw(t, "lon")}
		ctx := context.Background()
		if err := w.rdb.GeoAdd(ctx, "geo", &redis.GeoLocation{Name: "d", Longitude: p.lon, Latitude: p.lat}).Err(); err != nil {
			t.Fatal(err)
		}
		theirs, err := w.rdb.ZScore(ctx, "geo", "d").Result()
		if err != nil {
			t.Fatal(err)
		}
		if ours := score(p); uint64(theirs) != ours {
			t.Fatalf("the score of %+v is %d, Redis has %d", p, ours, uint64(theirs))
		}
		pos, err := w.rdb.GeoPos(ctx, "geo", "d").Result()
		if err != nil {
			t.Fatal(err)
		}
		mine := at(score(p))
		if math.Abs(pos[0].Latitude-mine.lat) > 1e-9 || math.Abs(pos[0].Longitude-mine.lon) > 1e-9 {
			t.Fatalf("Redis has %+v, we have %+v", pos[0], mine)
		}
	})
}

func TestWhatIsStoredIsStoredAgainAsItIs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := somewhere().Draw(t, "point")
		s := stored(p)
		if d := distance(p, s); d > 0.6 {
			t.Fatalf("%+v is stored %.2f m away, as %+v", p, d, s)
		}
		if isPolar(p.lat) != isPolar(s.lat) || stored(s) != s {
			t.Fatalf("%+v is stored as %+v, and that as %+v", p, s, stored(s))
		}
	})
}
